"""What the design loop found, as blocks of a page: studies, fronts, shapes, topologies, what scatters."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np

from designtwin.results.sensitivity import Sensitivity
from designtwin.study.doe import Variants
from designtwin.study.found import Best, History, Verification
from designtwin.study.freeform import Shaped
from designtwin.study.front import Front
from designtwin.study.indices import Indices, Screening
from designtwin.study.tables import GradientCheck, StudySensitivity
from designtwin.study.uncertainty import Reliability, Robustness
from designtwin.topology.found import Optimum, Retest
from designtwin.units import show

Block: TypeAlias = dict[str, Any]
Verdicts: TypeAlias = Callable[[Sequence[Any]], list[Block]]
"""What verdicts become on the page."""

_MOST_ROWS = 40


def title_of(item: Any) -> str:
    """The chapter that a thing of the design loop makes by itself; "" for other things."""
    return next((title for kind, title, _ in _KINDS if isinstance(item, kind)), "")


def blocks(item: Any, pictures: Any, verdicts: Verdicts) -> list[Block] | None:
    """Blocks of a thing of the design loop; None of other things."""
    for kind, _, told in _KINDS:
        if isinstance(item, kind):
            return [block for block in told(item, pictures, verdicts) if block is not None]
    return None


_Told: TypeAlias = Sequence[Block | None]


def _facts(rows: Sequence[tuple[str, str]], title: str = "") -> Block:
    return {"kind": "facts", "title": title, "rows": [row for row in rows if row[1]]}


def _table(title: str, head: Sequence[str], rows: Sequence[Sequence[str]]) -> Block:
    return {"kind": "table", "title": title, "head": list(head), "rows": [list(row) for row in rows]}


def _at(values: Mapping[str, float], variables: Mapping[str, Any]) -> str:
    return ", ".join(f"{name} {variables[name].text(value)}" for name, value in values.items())


# Studies


def _best(best: Best, pictures: Any, verdicts: Verdicts) -> _Told:
    history = best.history
    start = next((e for e in history.designs if not e.failure), None)
    rows = []
    for name, variable in history.variables.items():
        before = variable.text(start.values[name]) if start else ""
        ends = (variable.text(variable.low), variable.text(variable.high))
        rows.append([name, before, variable.text(best.values[name]), *ends])
    dimension = history.objective.dimension
    before = show(start.objective, dimension) if start and start.objective is not None else ""
    rows.append([history.objective.label, before, show(best.objective, dimension), "", ""])
    words = (
        "best design meets every requirement, numerical error included"
        if best.feasible
        else "no design met every requirement; this one comes nearest"
    )
    failed = sum(1 for e in history.evaluations if e.failure)
    checked = best.verification
    facts = [
        ("held back by", ", ".join(best.active) or "nothing"),
        ("in conflict", ", ".join(best.conflict)),
        ("stopped", best.stopped),
        (
            "analyses",
            f"{len(history)}"
            + (f", {len(history.designs)} of them designs" if len(history.designs) < len(history) else "")
            + f"; {len(history.gradients)} gradients"
            + (f"; {failed} failed" if failed else ""),
        ),
        ("method", best.method),
        ("gradients", history.gradients_told),
        (
            "verified",
            "not yet: verify() tests it on a mesh the search never saw"
            if checked is None
            else f"{checked.status} on another mesh of {checked.mesh.n_cells:,} cells, "
            f"{history.objective.label} {show(checked.objective, dimension)} there",
        ),
    ]
    return [
        {"kind": "banner", "status": "PASS" if best.feasible else "FAIL", "text": words},
        _table("Variables", ["", "start", "tuned", "lowest", "highest"], rows),
        _facts(facts),
        *_history(history, pictures, verdicts),
        *verdicts(best.verdicts),
        *([] if checked is None else [{"kind": "heading", "text": "Verified on another mesh"}]),
        *([] if checked is None else verdicts(checked.verdicts)),
    ]


def _history(history: History, pictures: Any, verdicts: Verdicts) -> _Told:
    return [pictures.draw("plot_history", history, caption="Course of the study")]


def _verification(found: Verification, pictures: Any, verdicts: Verdicts) -> _Told:
    return verdicts(found.verdicts)


def _front(front: Front, pictures: Any, verdicts: Verdicts) -> _Told:
    head = [front.one.label, front.other.label, *front.variables, ""]
    rows = [
        [
            show(p.one, front.one.dimension), show(p.other, front.other.dimension),
            *(front.variables[name].text(value) for name, value in p.values.items()),
            "dominated" if p.dominated else "knee" if p is front.knee else "",
        ]
        for p in front.points
    ]  # fmt: skip
    caption = "What less of the one costs in the other, and how the variables go along"
    return [
        pictures.draw("plot_front", front, caption=caption) if front.best else None,
        _table("Designs of the front", head, rows),
        {"kind": "text", "text": front.stopped} if front.stopped else None,
    ]


def _slopes(table: StudySensitivity, pictures: Any, verdicts: Verdicts) -> _Told:
    head = ["response", *(f"{name} {step}" for name, step in table.steps.items()), "slopes"]
    rows = [
        [label, *(f"{100.0 * one:+.2f} %" for one in row), table.how.get(label, "")]
        for label, row in zip(table.responses, table.scaled, strict=True)
    ]
    caption = f"Slopes at {_at(table.values, table.variables)}"
    return [
        pictures.draw("plot_study_sensitivity", table, caption=caption, window_size=None),
        _table("Change of responses and margins", head, rows),
    ]


def _check(check: GradientCheck, pictures: Any, verdicts: Verdicts) -> _Told:
    def number(value: float, how: str) -> str:
        return format(value, how) if np.isfinite(value) else ""

    rows = [
        [
            row.response, row.variable, number(row.adjoint, "+.6e"), number(row.difference, "+.6e"),
            number(row.apart, ".1e"), row.how,
        ]
        for row in check.rows
    ]  # fmt: skip
    title = f"Gradients at {_at(check.values, check.variables)}; SI per SI"
    return [_table(title, ["response", "variable", "adjoint", "difference", "apart", "how"], rows)]


# Many designs


def _variants(table: Variants, pictures: Any, verdicts: Verdicts) -> _Told:
    dimensions = table.dimensions()
    columns = table.responses
    head = [*table.variables, *columns, ""]
    rows = []
    for i, e in enumerate(table.evaluations[:_MOST_ROWS]):
        values = [variable.text(e.values[name]) for name, variable in table.variables.items()]
        if e.failure:
            rows.append([*values, *("" for _ in columns), f"failed: {e.failure}"])
        else:
            told = [show(float(c[i]), dimensions.get(n, "dimensionless")) for n, c in columns.items()]
            met = "meets all" if e.worst_slack >= 0.0 else f"worst margin {100.0 * e.worst_slack:+.1f} %"
            rows.append([*values, *told, met])
    more = len(table) - len(rows)
    drawn = len(table.failed) < len(table)
    return [
        pictures.draw("plot_variants", table, caption="Responses over variables") if drawn else None,
        pictures.draw("plot_variants", table, "parallel", caption="One line a design") if drawn else None,
        _table("Designs", head, rows),
        {"kind": "text", "text": f"{more} more designs are not listed."} if more else None,
    ]


def _indices(found: Indices, pictures: Any, verdicts: Verdicts) -> _Told:
    rows = [
        [label, *(f"{found.first[i, j]:.2f} ({found.total[i, j]:.2f})" for j in range(len(found.names)))]
        for i, label in enumerate(found.labels)
    ]
    doubt = ", ".join(found.doubtful)
    return [
        pictures.draw("plot_indices", found, caption="Shares of the variance"),
        _table("Sobol indices: alone (with others)", ["response", *found.names], rows),
        {"kind": "text", "text": f"Doubtful, more samples are needed: {doubt}."} if doubt else None,
    ]


def _screening(found: Screening, pictures: Any, verdicts: Verdicts) -> _Told:
    rows = [
        [label, *(f"{found.mean[i, j]:.3g} ± {found.deviation[i, j]:.2g}" for j in range(len(found.names)))]
        for i, label in enumerate(found.labels)
    ]
    title = "Effect of each variable over its range: mean magnitude ± deviation"
    return [_table(title, ["response", *found.names], rows)]


def _robustness(found: Robustness, pictures: Any, verdicts: Verdicts) -> _Told:
    first, *rest = str(found).splitlines()
    return [
        {"kind": "banner", "status": "PASS" if found.holds else "FAIL", "text": first},
        pictures.draw("plot_robustness", found, caption="What scatter does to the margins")
        if found.requirements
        else None,
        {"kind": "list", "title": "", "items": [line.strip() for line in rest]},
    ]


def _reliability(found: Reliability, pictures: Any, verdicts: Verdicts) -> _Told:
    return [{"kind": "text", "text": str(found)}]


# Shapes


def _shaped(shaped: Shaped, pictures: Any, verdicts: Verdicts) -> _Told:
    _, *rest = str(shaped).splitlines()
    dimension, label = shaped.quantity.dimension, shaped.quantity.label
    rows = [[label, show(shaped.start, dimension), show(shaped.value, dimension)]]
    before, after, name = shaped.pair()
    told = [
        *verdicts(shaped.after),
        *([{"kind": "heading", "text": "On a finer mesh"}] if shaped.verified else []),
        *verdicts(shaped.verified),
    ]
    return [
        _table("", ["", "before", "after"], rows),
        _facts([_split(line) for line in rest]),
        pictures.draw("compare", before, after, name, caption="Before and after", window_size=(2000, 1000)),
        *told,
    ]


def _sensitivity(found: Sensitivity, pictures: Any, verdicts: Verdicts) -> _Told:
    caption = f"Slope of {found.response} over shape"
    return [pictures.draw("plot_sensitivity", found, caption=caption)]


def _split(line: str) -> tuple[str, str]:
    """A printed line of what and how much, whose columns are two spaces apart."""
    what, _, much = line.strip().partition("  ")
    return what, ", ".join(part.strip() for part in much.split("  ") if part.strip())


# Topologies


def _optimum(optimum: Optimum, pictures: Any, verdicts: Verdicts) -> _Told:
    first, *rest = str(optimum).splitlines()
    # That it is untested is said below, where it may have been tested since.
    found = first.removeprefix("topology: ").partition("; untested")[0]
    return [
        {"kind": "text", "text": f"{found[:1].upper()}{found[1:]}. Only a re-test tells what the part does."},
        _facts([_split(line) for line in rest]),
        pictures.draw("plot_topology", optimum, caption="Design space and design", window_size=None),
        pictures.draw("plot_topology", optimum, "history", caption="Course of the search", window_size=None),
    ]


def _retest(retest: Retest, pictures: Any, verdicts: Verdicts) -> _Told:
    rows = [
        [what, show(by, dimension), show(found, dimension), _off(by, found)]
        for what, dimension, by, found in retest.compared
    ]
    return [
        _table("The part beside its densities", ["", "by densities", "of the part", ""], rows),
        {"kind": "list", "title": "Notes", "items": list(retest.notes)} if retest.notes else None,
        *verdicts(retest.verdicts),
    ]


def _off(by: float, found: float) -> str:
    return f"{round(100.0 * (found - by) / abs(by), 1) + 0.0:+.1f} %" if by else ""


_KINDS: tuple[tuple[type, str, Callable[[Any, Any, Verdicts], _Told]], ...] = (
    (Best, "Design study", _best),
    (History, "Course of the study", _history),
    (Verification, "Verified on another mesh", _verification),
    (Front, "Front", _front),
    (StudySensitivity, "How the design moves", _slopes),
    (GradientCheck, "Gradients", _check),
    (Variants, "Designs", _variants),
    (Indices, "What makes the responses vary", _indices),
    (Screening, "What matters", _screening),
    (Robustness, "Scatter", _robustness),
    (Reliability, "Reliability", _reliability),
    (Shaped, "Free form", _shaped),
    (Sensitivity, "Slope over shape", _sensitivity),
    (Optimum, "Topology", _optimum),
    (Retest, "Re-test of the part", _retest),
)
