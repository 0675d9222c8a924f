"""Tables of slopes: adjoints held against differences, and how every response moves with every variable."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from designtwin.errors import DesignTwinError, StudyError
from designtwin.study.evaluate import FAILURES, OBJECTIVE, Tested, tested
from designtwin.study.gradients import Chain, Response, responses_of
from designtwin.study.search import Budget, Search
from designtwin.study.store import Evaluation
from designtwin.study.variables import Variable
from designtwin.typing import FloatArray
from designtwin.units import show

if TYPE_CHECKING:
    from rich.console import RenderableType

    from designtwin.study.study import Study

_SHARE = 0.1
"""Of a variable's range, for which the change of a response is told."""
_STILL = 1e-6
"""Share of itself: a response that moves by less over a variable's whole range does not move."""
_WIDTH = 110


@dataclass(frozen=True)
class Agreement:
    """One response and one variable of a gradient check.

    Parameters
    ----------
    response : str
    variable : str
    adjoint : float
        SI per SI; nan where there is none.
    difference : float
        By central differences over two steps, extrapolated.
    steps_apart : float
        How far the differences of the two steps lie apart; what is extrapolated from them is much closer.
    apart : float
        |adjoint - difference| over the largest slope of this response, each slope times its variable's range;
        of a response that no variable moves, over a millionth of itself.
    how : str
        "adjoint", "build" (of the model alone), or why there is no adjoint.
    """

    response: str
    variable: str
    adjoint: float
    difference: float
    steps_apart: float
    apart: float
    how: str


@dataclass(frozen=True, eq=False)
class GradientCheck:
    """Adjoints and differences side by side; print it.

    Parameters
    ----------
    rows : tuple of Agreement
    values : mapping of variable to SI value
        The design.
    variables : mapping of name to Variable
    """

    rows: tuple[Agreement, ...]
    values: Mapping[str, float]
    variables: Mapping[str, Variable]

    @property
    def worst(self) -> Agreement:
        """The row whose adjoint and difference are farthest apart.

        Raises
        ------
        StudyError
            If no response has an adjoint.
        """
        with_adjoint = [row for row in self.rows if np.isfinite(row.apart)]
        if not with_adjoint:
            raise StudyError(f"no response has an adjoint: {self.rows[0].how}")
        return max(with_adjoint, key=lambda row: row.apart)

    def __rich__(self) -> RenderableType:
        from rich import box
        from rich.console import Group
        from rich.table import Table
        from rich.text import Text

        table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False)
        table.add_column("response", overflow="fold")
        table.add_column("variable")
        for name in ("adjoint", "difference", "apart"):
            table.add_column(name, justify="right", no_wrap=True)
        last = None
        for row in self.rows:
            none = not np.isfinite(row.adjoint)
            table.add_row(
                Text("" if row.response == last else row.response),
                row.variable,
                "-" if none else f"{row.adjoint:+.6e}",
                f"{row.difference:+.6e}",
                "-" if none else f"{row.apart:.1e}",
            )
            last = row.response
        at = ", ".join(f"{n} {self.variables[n].text(v)}" for n, v in self.values.items())
        lines = [Text(f"gradients at {at}; SI per SI, apart as share of the response's largest slope")]
        reasons = dict.fromkeys((r.response, r.how) for r in self.rows if r.how not in ("adjoint", "build"))
        lines += [Text(f"no adjoint of {response}: {why}") for response, why in reasons]
        if any(np.isfinite(row.apart) for row in self.rows):
            worst = self.worst
            words = f"farthest apart: {worst.response} over {worst.variable}, {worst.apart:.1e}"
            if worst.difference != 0.0:
                steps = worst.steps_apart / abs(worst.difference)
                words += (
                    f"; there the two steps of the difference, before extrapolation, lie {steps:.0e} apart"
                )
            lines.append(Text(words))
        return Group(lines[0], table, *lines[1:])

    def __str__(self) -> str:
        return printed(self)


def printed(what: Any) -> str:
    """What rich would show, as plain text."""
    from io import StringIO

    from rich.console import Console

    out = StringIO()
    # In a notebook a console would show itself instead of filling `out`.
    plain: dict[str, Any] = {"color_system": None, "legacy_windows": False, "force_jupyter": False}
    Console(file=out, width=_WIDTH, highlight=False, **plain).print(what)
    return "\n".join(line.rstrip() for line in out.getvalue().splitlines())


def check_gradients(study: Study, values: dict[str, float], step: float) -> GradientCheck:
    """See `Study.check_gradients`."""
    if not 1e-6 <= step <= 0.2:
        raise StudyError(f"step={step!r}: a share of each variable's range from 1e-6 to 0.2 is wanted")
    if not any(v.between for v in study.variables.values()):
        raise StudyError("no variable can be varied a little, as all are whole numbers: there are no slopes")
    here = _must(tested(study, values, "design", keep=True))
    asked = _distinct(responses_of(study, here, clipped=False))
    chain = Chain(study, here)
    adjoints: dict[tuple[int, str | None], FloatArray] = {}
    how: dict[int, str] = {}
    for k, response in enumerate(asked):
        try:
            adjoints |= {(k, case): slope for case, slope in chain.smooth_slopes(response).items()}
            how[k] = "build" if response.quantity.needs == "model" else "adjoint"
        except FAILURES as error:
            how[k] = f"{type(error).__name__}: {error}"
    found, base = _differences(study, here, asked, step), _smooth(study, here, asked)
    names = list(study.variables)
    span = np.array([v.high - v.low for v in study.variables.values()])
    rows = []
    for (k, case), (difference, steps_apart) in found.items():
        slope = adjoints.get((k, case), np.full(len(names), np.nan))
        moved = float(np.nanmax(np.abs(np.stack([slope, difference])) * span, initial=0.0))
        # What no variable moves has slopes of rounding alone, which agree in nothing.
        scale = max(moved, _STILL * abs(base[k, case])) or 1.0
        label = asked[k].quantity.label + (f" | {case}" if case is not None else "")
        rows += [
            Agreement(
                label, name, float(slope[i]), float(difference[i]), float(steps_apart[i]),
                float(abs(slope[i] - difference[i]) * span[i] / scale), how[k],
            )
            for i, name in enumerate(names)
            if study.variables[name].between
        ]  # fmt: skip
    return GradientCheck(tuple(rows), values, dict(study.variables))


def _must(found: Tested | Evaluation) -> Tested:
    if not isinstance(found, Tested):
        at = ", ".join(f"{name}={value:.6g}" for name, value in found.values.items())
        raise StudyError(f"the design {at} cannot be evaluated: {found.failure}")
    return found


def _distinct(responses: Sequence[Response]) -> list[Response]:
    """One of each quantity and source: a call answers for all its load cases."""
    out: dict[tuple[str, int, bool], Response] = {}
    for one in responses:
        out.setdefault((one.quantity.content_key(), id(one.source), one.largest), one)
    return list(out.values())


def _differences(
    study: Study, here: Tested, asked: Sequence[Response], step: float
) -> dict[tuple[int, str | None], tuple[FloatArray, FloatArray]]:
    """Central differences of smooth numbers over two steps, and what they leave open, float64[k] each.

    nan for variables that cannot be varied a little.
    """
    names = list(study.variables)
    read: dict[tuple[int, str | None], FloatArray] = {}
    for i, name in enumerate(names):
        variable = study.variables[name]
        if not variable.between:
            continue
        # So far inside that both sides are within bounds: the design itself may be at one.
        at = variable.scaled(here.values[name])
        h = min(step, max(at, 1.0 - at))
        inside = min(at, 1.0 - at) >= h
        # At a bound three points on one side, of second order too.
        offsets = (h, -h, h / 2, -h / 2) if inside else _one_sided(h if at < 0.5 else -h)
        for j, offset in enumerate(offsets):
            value = variable.inside(at + offset)
            there = _must(tested(study, {**here.values, name: value}, "check", keep=False))
            for key, number in _smooth(study, there, asked).items():
                read.setdefault(key, np.full((len(names), 4), np.nan))[i, j] = number
    base = _smooth(study, here, asked)
    out = {}
    for key, numbers in read.items():
        difference, steps_apart = np.full(len(names), np.nan), np.full(len(names), np.nan)
        for i, name in enumerate(names):
            variable = study.variables[name]
            if not variable.between:
                continue
            at = variable.scaled(here.values[name])
            h = min(step, max(at, 1.0 - at))
            span = h * (variable.high - variable.low)
            a, b, c, d = numbers[i]
            if min(at, 1.0 - at) >= h:
                coarse, fine = (a - b) / (2.0 * span), (c - d) / span
                difference[i], steps_apart[i] = (4.0 * fine - coarse) / 3.0, abs(fine - coarse)
            else:
                sign = 1.0 if at < 0.5 else -1.0
                difference[i], steps_apart[i] = _from_one_side(base[key], a, b, c, d, sign * span)
        out[key] = (difference, steps_apart)
    return out


def _one_sided(h: float) -> tuple[float, float, float, float]:
    return (h / 4, h / 2, 3 * h / 4, h)


def _from_one_side(y0: float, a: float, b: float, c: float, d: float, h: float) -> tuple[float, float]:
    """Slope at 0 of the polynomial through values at 0, h/4, h/2, 3h/4 and h; of three, how far apart."""
    q = h / 4.0
    full = (-25.0 * y0 + 48.0 * a - 36.0 * b + 16.0 * c - 3.0 * d) / (12.0 * q)
    three = (-3.0 * y0 + 4.0 * a - b) / (2.0 * q)
    return full, abs(full - three)


def _smooth(study: Study, one: Tested, asked: Sequence[Response]) -> dict[tuple[int, str | None], float]:
    """The numbers that are differentiated, by response and load case."""
    from designtwin.analysis.adjoint import smooth_values

    out: dict[tuple[int, str | None], float] = {}
    for k, response in enumerate(asked):
        quantity = response.quantity
        if quantity.needs == "model":
            model = one.model if response.test < 0 else one.tests[response.test].model  # type: ignore[attr-defined]
            out[k, None] = float(quantity.evaluate(model).value)
            continue
        result = one.results[response.test]
        try:
            values: list[tuple[Any, float]] = [*smooth_values(result, quantity, largest=response.largest)]
        except DesignTwinError:  # no adjoint, so nothing smooth: the values themselves
            values = [(v.case, v.value) for v in quantity.extremes(result, largest=response.largest)]
        for case, value in values:
            out[k, case] = float(value)
    return out


@dataclass(frozen=True, eq=False)
class StudySensitivity:
    """How every response moves with every variable at one design; print or plot it.

    Parameters
    ----------
    values : mapping of variable to SI value
        The design.
    variables : mapping of name to Variable
    responses : tuple of str
        The objective by its quantity, then goals and constraints.
    slopes : float64[m, n]
        d response / d variable, SI per SI; of constraints, of their slacks.
    scaled : float64[m, n]
        The change over a tenth of each variable's range, as a share of the response for the objective and
        goals, of the limit for constraints (for a temperature, of 100 K; for what spans decades, in decades).
    how : mapping of response to str
        Where its slopes come from.
    better : tuple of float
        Of each response the sign of a change for the better: -1 for less, 1 for more.
    """

    values: Mapping[str, float]
    variables: Mapping[str, Variable]
    responses: tuple[str, ...]
    slopes: FloatArray
    scaled: FloatArray
    how: Mapping[str, str]
    better: tuple[float, ...]

    @property
    def steps(self) -> dict[str, str]:
        """The change of each variable that is told, in display units: "+0.5 mm"."""
        return {n: f"+{show(_SHARE * (v.high - v.low), _span_of(v))}" for n, v in self.variables.items()}

    def plot(self, **options: Any) -> Any:
        """Picture of the table; see ``designtwin.viz``."""
        from designtwin import edge

        return edge.plot_study_sensitivity(self, **options)

    def __rich__(self) -> RenderableType:
        from rich import box
        from rich.console import Group
        from rich.table import Table
        from rich.text import Text

        table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False)
        table.add_column("response", overflow="fold")
        for name, step in self.steps.items():
            table.add_column(f"{name}\n{step}", justify="right")
        for label, row in zip(self.responses, self.scaled, strict=True):
            table.add_row(Text(label), *(f"{100.0 * one:+.2f} %" for one in row))
        at = ", ".join(f"{n} {self.variables[n].text(v)}" for n, v in self.values.items())
        return Group(Text(f"change of responses and margins at {at}"), table)

    def __str__(self) -> str:
        return printed(self)


def _span_of(variable: Variable) -> str:
    return "temperature_difference" if variable.dimension == "temperature" else variable.dimension


def sensitivity(study: Study, values: dict[str, float]) -> StudySensitivity:
    """See `Study.sensitivity`."""
    store = study.open_store()
    try:
        search = Search(study, store, Budget(10**9, float("inf")))
        found, e = search.at(values), search.evaluate(values)
    finally:
        store.close()
    names = list(study.variables)
    step = _SHARE * np.array([v.high - v.low for v in study.variables.values()])
    labels = list(found.slopes)
    slopes = np.array([[found.slopes[label][name] for name in names] for label in labels])
    sizes = [abs(e.objective or 1.0) if one == OBJECTIVE else abs(e.goals.get(one, 1.0)) for one in labels]
    scaled = slopes * step / np.array([[size or 1.0] for size in sizes])
    smaller = {OBJECTIVE, *(q.label for q in study.goals if q.largest_governs)}
    told = {OBJECTIVE: study.minimize.label}
    return StudySensitivity(
        values=values, variables=dict(study.variables), responses=tuple(told.get(x, x) for x in labels),
        slopes=slopes, scaled=scaled, how={told.get(x, x): way for x, way in found.how.items()},
        better=tuple(-1.0 if x in smaller else 1.0 for x in labels),
    )  # fmt: skip
