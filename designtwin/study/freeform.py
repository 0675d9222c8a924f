"""Free form: faces of a tested part find the shape that makes a quantity least.

Every node of a face may move, or every control point of a lattice; gradients come from adjoints, whose cost
does not depend on how many these are, and the search is MMA. What is judged in the end is what the tests
say of the shape found, and of the same shape on a finer mesh.

Source: Bletzinger, "A consistent frame for sensitivity filtering and the vertex assigned morphing of optimal
shape", Struct. Multidisc. Optim. 49 (2014).
"""

from __future__ import annotations

import hashlib
import json
import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from designtwin.assembly.directions import Directions
from designtwin.criteria.verdict import Verdict, overall
from designtwin.errors import DesignTwinError, EvaluationFailed, MeshError, NoAdjointError, StudyError
from designtwin.mesh import Mesh
from designtwin.mesh.freeform import Shape, VertexMorph, lattice_shape, quality_kept
from designtwin.mesh.morphing import Lattice, Length, Place, check_moved
from designtwin.mesh.surface import facet_normals
from designtwin.model.model import Model
from designtwin.model.supports import Symmetry
from designtwin.optimize import Found, Iterate, Problem, Stop, check_method, minimize
from designtwin.progress import track
from designtwin.prototype.refine import bound, carried
from designtwin.prototype.tests import PrototypeTest
from designtwin.requirements import FieldQuantity, Quantity
from designtwin.requirements.life import DamageQuantity
from designtwin.requirements.responses import AGGREGATES
from designtwin.study.evaluate import FAILURES, Constraint, label_of, slack_slope, source_of
from designtwin.study.store import Evaluation, Gradient, Store
from designtwin.study.study import setting, settings
from designtwin.typing import FloatArray, IntArray
from designtwin.units import show, show_time, to_si

if TYPE_CHECKING:
    from designtwin.viz.picture import Picture

_STEP = 1e-4
"""Share of its range by which a number is moved to see what loads and supports do."""
_CARRIED = 1e-7
"""Share of a slope from which loads and supports count among what the shape moves."""
_MET = 1e-4
"""A constraint up to here counts as met by the optimizer; it is asked for as much more."""
_FIRST = 0.15
"""Share of its range by which the first step may move a number."""
_FEW = 600
"""Numbers up to which the dense matrices of SLSQP cost little beside an analysis."""
_SHOWN = {"static": "von_mises", "thermal": "temperature"}
"""What a picture shows where the quantity is one number."""
_SOFT = 30.0
"""Sharpness of the smooth maximum over load cases, of values relative to the start."""


@dataclass(frozen=True, kw_only=True, eq=False)
class FreeForm:
    """Free faces of a part that is tested, and what their shape shall make least.

    Parameters
    ----------
    test : prototype test, or a sequence of these of one model
        Its requirements must be met by the shape found: say ``mass() <= ...`` there, or all material may be
        added.
    minimize : Quantity
        Such as ``stress("von_mises", on="fillet")`` or ``damage()``; the largest over the load cases.
    on : selection or group name
        The faces whose nodes move along their normals, filtered; or ``lattice``.
    lattice : Lattice
        The box whose control points move instead, all but those on sides that the part passes through.
    reach : length or (length, length)
        How far nodes may rise (out of the material), or sink and rise; control points, to either side.
    filter_radius : length
        With ``on``: no waves shorter than about this; how fast the form fades out towards what stays.
    fixed : selection or group name, or a list of these, optional
        With ``on``: what stays where it is.
    symmetric : str or mapping of axis to position, optional
        With ``on``: planes of symmetry; those of the model's ``Symmetry`` supports unless given.
    extruded : "x", "y" or "z", optional
        With ``on``: the form is the same all along this axis.
    axes : str
        With ``lattice``: along which control points move.
    quality : float
        Share of its quality that every cell must keep.
    aggregate : "ks" or "p-norm"
        See `designtwin.sensitivities`.
    store : path, optional
        Folder that keeps every shape's numbers and slopes; the same free form resumes from it, after a kill
        too, and finds the same to the last digit.

    Raises
    ------
    StudyError
        If tests do not share a model, or both or none of ``on`` and ``lattice`` are given.
    MeshError
        If nothing is free to move.
    """

    test: PrototypeTest | Sequence[PrototypeTest]
    minimize: Quantity
    reach: Length | tuple[Length, Length]
    on: Place | None = None
    lattice: Lattice | None = None
    filter_radius: Length | None = None
    fixed: Place | Sequence[Any] = ()
    symmetric: str | Mapping[str, Length] | None = None
    extruded: str | None = None
    axes: str = "xyz"
    quality: float = 0.3
    aggregate: str = "ks"
    name: str = "free form"
    store: str | Path | None = None

    def __post_init__(self) -> None:
        tests = tuple(self.test) if isinstance(self.test, list | tuple) else (self.test,)
        if not tests or not all(isinstance(one, PrototypeTest) for one in tests):
            raise StudyError("FreeForm: test= is a prototype test such as dtw.StrengthTest(model, [...])")
        if any(one.model is not tests[0].model for one in tests):
            raise StudyError("FreeForm: all tests must be of one and the same model")
        if not isinstance(self.minimize, Quantity):
            raise StudyError(f"FreeForm: minimize wants a quantity such as dtw.mass(), got {self.minimize!r}")
        if (self.on is None) == (self.lattice is None):
            raise StudyError(
                "FreeForm: say on= (faces whose nodes move) or lattice= (a box of control points)"
            )
        if self.on is not None and self.filter_radius is None:
            raise StudyError("FreeForm: faces need filter_radius=, the shortest wave their shape may have")
        if self.aggregate not in AGGREGATES:
            raise StudyError(f"FreeForm: aggregate is {' or '.join(AGGREGATES)}, got {self.aggregate!r}")
        if isinstance(self.reach, tuple | list) and len(self.reach) != 2:
            raise StudyError(f"FreeForm: reach is a length, or (how far in, how far out), got {self.reach!r}")
        if not isinstance(self.quality, int | float) or not 0.0 < self.quality < 1.0:
            raise StudyError(f"FreeForm: quality is a share between 0 and 1, got {self.quality!r}")
        object.__setattr__(self, "test", tests)

    def run(
        self, *, max_analyses: int = 40, max_time: Any = "30 min", tolerance: float = 1e-3,
        method: str = "auto", verify: bool = True,
    ) -> Shaped:  # fmt: skip
        """Search, test what was found, and test it again on a finer mesh.

        Parameters
        ----------
        max_analyses : int
        max_time : time
        tolerance : float
            First-order optimality at which the search ends; also where the quantity stands still to a tenth
            of it.
        method : str
            Of `designtwin.optimize.minimize`; "auto" takes SLSQP up to 600 numbers, as it learns how much
            stiffer short waves of a shape are than long ones, and MMA beyond.
        verify : bool
            Whether the shape found is tested on the mesh with every cell halved too.

        Raises
        ------
        NoAdjointError
            If a quantity has no adjoint gradient.
        StudyError
            If no test makes the analysis the quantity is read from.
        """
        if isinstance(max_analyses, bool) or not isinstance(max_analyses, int) or max_analyses < 1:
            raise StudyError(f"max_analyses={max_analyses!r}: a whole number of at least 1 is wanted")
        check_method(method)
        seconds = float(to_si(max_time, "time", name="max_time"))
        store = Store(self.store, {} if self.store is None else self._fingerprint())
        try:
            search = _Search(self, max_analyses, time.monotonic() + seconds, store)
            with track(self.name, total=max_analyses) as progress:
                search.progress = progress
                if method == "auto":
                    method = "slsqp" if len(search.shape.low) <= _FEW else "mma"
                found = minimize(
                    search.problem(), method=method, tolerance=tolerance, max_iterations=10 * max_analyses,
                    max_evaluations=max_analyses, feasibility=_MET, callback=search.noted,
                )  # fmt: skip
            return search.shaped(found, verify)
        finally:
            store.close()

    def _fingerprint(self) -> dict[str, str]:
        """What stored numbers depend on, by the word an error uses for it."""
        tests: tuple[PrototypeTest, ...] = tuple(self.test)  # type: ignore[arg-type]
        asked = [[[r.content_hash() for r in one.requirements], settings(one)] for one in tests]
        shape = {
            one.name: setting(getattr(self, one.name))
            for one in fields(self)
            if one.name not in ("test", "minimize", "store", "name")
        }
        return {
            "model": tests[0].model.content_hash(),
            "tests": hashlib.sha256(json.dumps(asked).encode()).hexdigest(),
            "objective": self.minimize.content_hash(),
            "free form": json.dumps(shape, sort_keys=True),
        }


@dataclass(frozen=True, eq=False)
class Shaped:
    """The shape that a free form found.

    Parameters
    ----------
    model : Model
        On the new points.
    displacement : float64[n_points, 3]
        How far they went, m.
    before, after : tuple of Verdict
        Of each test, on the mesh as given and on the same cells in their new shape.
    verified : tuple of Verdict
        Of the new shape with every cell halved; empty where that was not asked for.
    quantity : Quantity
        What was made least.
    start, value : float
        It before and after, SI, the largest over the load cases.
    history : tuple of (value, worst slack, share of quality kept)
        Of each step of the search, as the tests say.
    found : Found
        What the optimizer tells: why it stopped, multipliers.
    quality : float
        Share of its quality that every cell keeps at least.
    analyses : int
    notes : tuple of str
    """

    model: Model
    displacement: FloatArray
    before: tuple[Verdict, ...]
    after: tuple[Verdict, ...]
    verified: tuple[Verdict, ...]
    quantity: Quantity
    start: float
    value: float
    history: tuple[tuple[float, float, float], ...]
    found: Found
    quality: float
    analyses: int
    notes: tuple[str, ...] = ()

    @property
    def mesh(self) -> Mesh:
        """The mesh in its new shape."""
        return self.model.mesh

    @property
    def status(self) -> str:
        """Joint status of the verdicts, of those on the finer mesh where there are any."""
        return overall(verdict.status for verdict in self.verified or self.after)

    def plot(self, name: str | Quantity | None = None, **options: Any) -> Picture:
        """Before and after side by side; the quantity's own field unless told. See `designtwin.compare`."""
        from designtwin import edge

        before, after, own = self.pair()
        return edge.compare(before, after, own if name is None else name, **options)

    def pair(self) -> tuple[Verdict, Verdict, str | Quantity]:
        """The verdicts before and after that show what was made least, and the field that does."""
        physics = [verdict.result.physics for verdict in self.before]
        test = next((i for i, one in enumerate(physics) if one in self.quantity.read_from), 0)
        is_field = isinstance(self.quantity, FieldQuantity | DamageQuantity)
        name = self.quantity if is_field else _SHOWN.get(physics[test], self.quantity)
        return self.before[test], self.after[test], name

    @property
    def stopped(self) -> str:
        """Why the search ended, in words."""
        conflict = self.found.conflict
        if conflict is None:
            return self.found.stopped
        asked = " and ".join(conflict.constraints)
        return f"{self.found.stopped.split(';')[0]}; {asked} cannot be met within the reach"

    def __str__(self) -> str:
        dimension = self.quantity.dimension
        far = float(np.linalg.norm(self.displacement, axis=1).max())
        lines = [
            f"{self.quantity.label}: {show(self.value, dimension)}, from {show(self.start, dimension)}",
            f"  moved            up to {show(far, 'length', digits=3)}",
            f"  cells keep       {100.0 * self.quality:.0f} % of their quality at least",
            f"  analyses         {self.analyses}",
            f"  stopped          {self.stopped}",
            f"  tests            {overall(v.status for v in self.after)}, "
            + (f"on a finer mesh {self.status}" if self.verified else "not tested on a finer mesh"),
        ]
        lines += [f"  note             {note}" for note in self.notes]
        return "\n".join(lines)


@dataclass(eq=False)
class _Design:
    """A shape, analyzed."""

    x: FloatArray
    model: Model
    tests: tuple[PrototypeTest, ...]
    results: tuple[Any, ...]
    constraints: tuple[Constraint, ...]
    quality: tuple[float, float, FloatArray]
    directions: Directions | None = None


class _Search:
    """What the optimizer sees of a free form."""

    def __init__(
        self, form: FreeForm, max_analyses: int, deadline: float, store: Store | None = None
    ) -> None:
        self.form, self.deadline, self.max_analyses = form, deadline, max_analyses
        self.store = Store(None, {}) if store is None else store
        self._tried: set[bytes] = set()
        self.given: tuple[PrototypeTest, ...] = tuple(form.test)  # type: ignore[arg-type]
        self.mesh = self.given[0].model.mesh
        self.notes: list[str] = []
        self.shape: Shape = self._shape()
        pairs = [bound(test, form.minimize) for test in self.given]
        model = pairs[0][0].model
        self.tests = tuple(replace(test, model=model) for test, _ in pairs)
        self.quantity = pairs[0][1]
        self.progress: Any = None
        self._last: list[_Design] = []
        self.carrying: IntArray = np.empty(0, np.int64)
        self.history: list[tuple[float, float, float]] = []
        self.first = self.design(np.zeros(len(self.shape.low)))
        source = source_of(self.quantity, self.first.model, self.first.results, "minimize")
        self.of_test = next(
            (i for i, result in enumerate(self.first.results) if result is source), -1
        )  # -1 where it is read off the model
        self.start = float(self.quantity.evaluate(source).value)
        if not math.isfinite(self.start) or (self.quantity.spans_decades and self.start <= 0.0):
            raise StudyError(
                f"FreeForm: {self.quantity.label} is {show(self.start, self.quantity.dimension)} at the "
                "start: there is nothing a shape could change for the better"
            )
        self.labels = [one.label for one in self.first.constraints]
        self._smooth_start: dict[str, float] = {}
        self._scales: FloatArray | None = None
        self._goal_scale = 1.0
        self.carrying = self._find_carrying()
        if len(self.carrying):
            self.notes.append(
                f"{len(self.carrying)} of {len(self.shape.low)} numbers move loads or supports with the "
                "shape: their slopes take differences of the model"
            )

    def _shape(self) -> Shape:
        form = self.form
        if form.lattice is not None:
            if isinstance(form.reach, tuple):
                raise StudyError("FreeForm: control points of a lattice have one reach, to either side")
            return lattice_shape(self.mesh, form.lattice, form.reach, axes=form.axes)
        assert form.on is not None
        assert form.filter_radius is not None
        symmetric = form.symmetric
        if symmetric is None:
            symmetric = planes_of_symmetry(self.given[0].model)
            if symmetric:
                told = " and ".join(f"{axis} = {show(at, 'length')}" for axis, at in symmetric.items())
                self.notes.append(f"symmetric to {told}, as the supports are")
        return VertexMorph(
            self.mesh, on=form.on, filter_radius=form.filter_radius, reach=form.reach, fixed=form.fixed,
            symmetric=symmetric, extruded=form.extruded,
        )  # fmt: skip

    # One shape

    def points(self, x: FloatArray) -> FloatArray:
        return np.asarray(self.mesh.points + self.shape.displacement(x))

    def design(self, x: FloatArray) -> _Design:
        """Analyze a shape, unless it is one of the last ones.

        Raises
        ------
        EvaluationFailed
            If a cell would turn inside out, or an analysis has no answer.
        """
        for one in self._last:
            if np.array_equal(one.x, x):
                return one
        if self._last and time.monotonic() > self.deadline:
            raise Stop("the time allowed was used")
        by = self.shape.displacement(x)
        try:
            check_moved(self.mesh, by)
        except MeshError as error:
            raise EvaluationFailed(str(error)) from error
        model = (
            self.tests[0].model.with_(mesh=self.mesh.moved(self.mesh.points + by))
            if x.any()
            else self.tests[0].model
        )
        tests = tuple(replace(test, model=model) for test in self.tests)
        try:
            results = tuple(test.solve(keep=True) for test in tests)
            constraints = [
                Constraint(label_of(r, value.case, result), i, r, value)
                for i, (test, result) in enumerate(zip(tests, results, strict=True))
                for r in test.requirements
                for value in r.by_case(result)
            ]
        except FAILURES as error:
            raise EvaluationFailed(f"{type(error).__name__}: {error}") from error
        quality = quality_kept(self.mesh, model.mesh.points)
        found = _Design(x.copy(), model, tests, results, tuple(constraints), quality)
        self._last = [found, *self._last[:2]]
        return found

    def _sensitivities(self, one: _Design) -> list[Any]:
        """Of the objective, by load case."""
        from designtwin.analysis.adjoint import sensitivities

        source = one.model if self.of_test < 0 else one.results[self.of_test]
        return sensitivities(
            source, self.quantity, aggregate=self.form.aggregate, largest=self.quantity.largest_governs
        )

    def _smooth(self, one: _Design) -> list[tuple[str, float]]:
        from designtwin.analysis.adjoint import smooth_values

        source = one.model if self.of_test < 0 else one.results[self.of_test]
        return smooth_values(
            source, self.quantity, aggregate=self.form.aggregate, largest=self.quantity.largest_governs
        )

    # Functions and gradients

    def problem(self) -> Problem:
        """The search as numbers; f and g of the order of one.

        The goal is scaled so that a step along its slope, which is where searches begin, stays well within
        reach.
        """
        span = self.shape.high - self.shape.low
        steepest = float(np.abs(self.gradients(np.zeros(len(span)))[0] * span).max())
        self._goal_scale = min(1.0, _FIRST / steepest) if steepest > 0.0 else 1.0
        return Problem(
            x0=np.zeros(len(self.shape.low)), low=self.shape.low, high=self.shape.high,
            functions=self.functions, gradients=self.gradients,
            constraints=[*self.labels, "quality of the cells"],
        )  # fmt: skip

    def functions(self, x: FloatArray) -> tuple[float, FloatArray]:
        known = self.store.find(_named(x))
        if known is None:
            known = self._evaluated(x)
            self.store.add(known)
        self._tried.add(x.tobytes())
        if known.failure:
            raise EvaluationFailed(known.failure)
        assert known.objective is not None
        return self._goal_scale * known.objective, np.array(list(known.slacks.values()))

    def _evaluated(self, x: FloatArray) -> Evaluation:
        try:
            one = self.design(x)
            f, _ = self._worst([self._relative(value) for _, value in self._smooth(one)])
            g = np.array([-c.slack for c in one.constraints] + [self.form.quality - one.quality[0]])
            # Searches end with constraints met to within their tolerance, tests ask for all of it.
            g = g / self._scaled(one) + _MET
        except EvaluationFailed as error:
            return Evaluation(0, _named(x), None, failure=str(error))
        told = {
            "value": self.value(one), "quality": one.quality[1],
            "slack": min((c.slack for c in one.constraints), default=float("inf")),
        }  # fmt: skip
        return Evaluation(0, _named(x), float(f), slacks=_named(g), goals=told)

    def gradients(self, x: FloatArray) -> tuple[FloatArray, FloatArray]:
        known = self.store.gradient(_named(x))
        if known is None:
            df, dg = self._slopes(self.design(x))
            rows = {str(i): _named(row) for i, row in enumerate(np.vstack([df[None], dg]))}
            known = Gradient(_named(x), rows, dict.fromkeys(rows, "adjoint"))
            self.store.add(known)
        slopes = np.array([list(row.values()) for row in known.slopes.values()])
        return self._goal_scale * slopes[0], slopes[1:]

    def _slopes(self, one: _Design) -> tuple[FloatArray, FloatArray]:
        try:
            found = self._sensitivities(one)
            _, shares = self._worst([self._relative(s.value) for s in found])
            df = sum(
                (
                    share * self._slope(s.value) * self._slope_of(s, one)
                    for share, s in zip(shares, found, strict=True)
                ),
                np.zeros(len(one.x)),
            )
            return df, self._constraint_slopes(one) / self._scaled(one)[:, None]
        except NoAdjointError:
            raise  # of the quantity, not of this shape
        except FAILURES as error:
            raise EvaluationFailed(f"{type(error).__name__}: {error}") from error

    def _constraint_slopes(self, one: _Design) -> FloatArray:
        from designtwin.analysis.adjoint import sensitivities

        rows = []
        for c in one.constraints:
            quantity = c.requirement.quantity
            source = one.model if quantity.needs == "model" else one.results[c.test]
            found = sensitivities(
                source, quantity, aggregate=self.form.aggregate, largest=c.requirement.is_upper, ends=True
            )
            s = next((s for s in found if quantity.needs == "model" or s.case == c.value.case), None)
            if s is None:
                raise NoAdjointError(f"no adjoint belongs to {c.label}")
            # The end of the interval grows in proportion to the smooth number (Le et al. 2010).
            end = c.requirement.bad_end(c.value)
            slope = self.shape.gradient(_points(s)) if quantity.needs == "model" else self._slope_of(s, one)
            grows = end / s.value if quantity.dimension != "temperature" and s.value * end > 0.0 else 1.0
            rows.append(-slack_slope(c.requirement, end) * grows * slope)
        return np.array([*rows, -self.shape.gradient(one.quality[2])])

    def _scaled(self, one: _Design) -> FloatArray:
        """What constraints are divided by: how far the shape can move them, found at the start."""
        if self._scales is None:
            slopes = self._constraint_slopes(self.first)
            far = np.sum(np.abs(slopes) * np.maximum(self.shape.high, -self.shape.low), axis=1)
            self._scales = np.append(np.clip(far[:-1], 1e-4, 1.0), 1.0)
        return self._scales

    def _relative(self, value: float) -> float:
        """A value beside that at the start; of what spans decades, how many decades it changed by."""
        if self.quantity.spans_decades:
            return math.log10(max(value, 1e-300) / self.start)
        return value / (abs(self.start) or 1.0)

    def _slope(self, value: float) -> float:
        if self.quantity.spans_decades:
            return 1.0 / (max(value, 1e-300) * math.log(10.0))
        return 1.0 / (abs(self.start) or 1.0)

    def _worst(self, values: Sequence[float]) -> tuple[float, FloatArray]:
        """Smooth worst of the load cases, and the share of each in its slope."""
        sign = 1.0 if self.quantity.largest_governs else -1.0
        v = sign * np.array(values)
        weight = np.exp(_SOFT * (v - v.max()))
        return sign * float(v.max() + np.log(weight.sum()) / _SOFT), weight / weight.sum()

    # Loads and supports that move with the shape

    def _slope_of(self, s: Any, one: _Design) -> FloatArray:
        """Slope of a sensitivity over all numbers, float64[k].

        Through the points for cells; for numbers that move loads or supports too, along neighbors of the
        model.
        """
        out = self.shape.gradient(_points(s))
        if len(self.carrying):
            if one.directions is None:
                one.directions = self._directions(one.model, one.x, self.carrying)
            out[self.carrying] = s.along(one.directions)
        return out

    def _directions(self, model: Model, x: FloatArray, which: IntArray) -> Directions:
        neighbors = []
        for j in which:
            step = np.zeros(len(x))
            step[j] = _STEP * (self.shape.high[j] - self.shape.low[j])
            neighbors.append((*self._beside(model, step), 2.0 * float(step[j])))
        return Directions.of(model, neighbors)

    def _beside(self, model: Model, step: FloatArray) -> tuple[Model, Model]:
        by = self.shape.displacement(step)
        ahead, back = (
            model.with_(mesh=model.mesh.moved(model.mesh.points + sign * by)) for sign in (1.0, -1.0)
        )
        return ahead, back

    def _find_carrying(self) -> IntArray:
        """Numbers that move loads or supports, found by halves: of a part, few do."""
        found: list[int] = []
        rng = np.random.default_rng(0)
        share = rng.uniform(0.5, 1.0, len(self.shape.low)) * (self.shape.high - self.shape.low)
        sensitivities = self._sensitivities(self.first)

        def search(which: IntArray) -> None:
            step = np.zeros(len(share))
            step[which] = _STEP * share[which]
            by = self.shape.displacement(step)
            directions = Directions.of(self.first.model, [(*self._beside(self.first.model, step), 2.0)])
            for s in sensitivities:
                apart = abs(float(s.along(directions)[0]) - float(np.sum(_points(s) * by)))
                if apart > _CARRIED * float(np.abs(_points(s) * by).sum()):
                    break
            else:
                return
            if len(which) == 1:
                found.append(int(which[0]))
                return
            for half in np.array_split(which, 2):
                search(half)

        if self.of_test >= 0:
            search(np.arange(len(share)))
        return np.array(sorted(found), np.int64)

    # What is told

    def noted(self, step: Iterate) -> None:
        known = self.store.find(_named(step.x))
        assert known is not None
        value = known.goals["value"]
        self.history.append((value, known.goals["slack"], known.goals["quality"]))
        if self.progress is not None:
            self.progress.step(
                f"shape {len(self.history)}: {self.quantity.label} {show(value, self.quantity.dimension)}"
            )

    def value(self, one: _Design) -> float:
        source = one.model if self.of_test < 0 else one.results[self.of_test]
        return float(self.quantity.evaluate(source).value)

    def shaped(self, found: Found, verify: bool) -> Shaped:
        self.deadline = float("inf")
        one = self.design(found.x)
        after = tuple(test.judged(result) for test, result in zip(one.tests, one.results, strict=True))
        before = tuple(
            test.judged(result) for test, result in zip(self.first.tests, self.first.results, strict=True)
        )
        verified: tuple[Verdict, ...] = ()
        if verify:
            started = time.perf_counter()
            try:
                verified = tuple(carried(test, None)[0].run() for test in one.tests)
            except DesignTwinError as error:
                self.notes.append(f"not tested on a finer mesh: {error}")
            else:
                self.notes.append(f"tested on the finer mesh in {show_time(time.perf_counter() - started)}")
        return Shaped(
            one.model, one.model.mesh.points - self.mesh.points, before, after, verified, self.form.minimize,
            self.start, self.value(one), tuple(self.history), found, one.quality[1],
            len(self._tried), tuple(self.notes),
        )  # fmt: skip


def _named(numbers: FloatArray) -> dict[str, float]:
    return {str(j): float(one) for j, one in enumerate(numbers)}


def _points(s: Any) -> FloatArray:
    return np.zeros_like(s.model.mesh.points) if s.points is None else np.asarray(s.points)


def planes_of_symmetry(model: Model) -> dict[str, float]:
    """Planes across an axis that the model's ``Symmetry`` supports hold, axis to position."""
    out: dict[str, float] = {}
    for support in model.supports:
        if not isinstance(support, Symmetry):
            continue
        from designtwin.elements import ELEMENTS

        for block in model.mesh.facets(model.region(support.on).facets):
            element = ELEMENTS[block.element]
            normal = facet_normals(
                model.mesh.points[block.conn], element.gradient(np.array(element.nodes, np.float64))
            )
            for axis in range(3):
                flat = np.abs(normal[..., axis]) > 1.0 - 1e-9
                at = model.mesh.points[block.conn, axis]
                if flat.all() and np.ptp(at) < 1e-9 * model.mesh.size:
                    out["xyz"[axis]] = float(at.mean())
    return out
