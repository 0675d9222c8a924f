"""The verdict of a virtual prototype test: what was asked, what came out, and how sure that is."""

from __future__ import annotations

import math
import platform
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from designtwin import units
from designtwin.criteria.envelope import Envelope, envelope
from designtwin.criteria.zones import FailureZone, failure_zones
from designtwin.requirements import (
    CANNOT_TELL,
    FAIL,
    PASS,
    SINGULAR,
    Outcome,
    Quantity,
    complete_to,
    show_margin,
    show_value,
)
from designtwin.requirements.base import frames_of
from designtwin.typing import PlainData

if TYPE_CHECKING:
    from rich.console import RenderableType

    from designtwin.results.tables import Table

WIDTH = 110
"""Columns of the printed table."""
_STYLES = {PASS: "bold green", FAIL: "bold red", CANNOT_TELL: "bold yellow"}


@dataclass(frozen=True, kw_only=True, eq=False)
class Round:
    """What one mesh of several said, each finer than the one before.

    Parameters
    ----------
    how : str
        How its mesh came about: "as given", "uniform" or "local".
    n_cells, n_dof : int
        Cells of the mesh, and unknowns solved for.
    rows : tuple of Outcome
        One per requirement, as it stood after this mesh.
    seconds : float
        Wall time.
    """

    how: str
    n_cells: int
    n_dof: int
    rows: tuple[Outcome, ...]
    seconds: float = 0.0

    def to_dict(self) -> PlainData:
        """Plain data; numbers as in a verdict's rows."""
        return {
            "how": self.how,
            "cells": self.n_cells,
            "n_dof": self.n_dof,
            "seconds": self.seconds,
            "requirements": [
                {
                    key: data[key]
                    for key in ("requirement", "value", "singular", "error", "low", "high", "status", "text")
                }
                for data in map(_row_data, self.rows)
            ],
        }


@dataclass(frozen=True, kw_only=True, eq=False)
class Verdict:
    """Requirements judged on a result.

    Parameters
    ----------
    rows : tuple of Outcome
        One per requirement, in the order stated.
    result : StaticResult, ThermalResult or TransientResult
    test : str
        The kind of test: "strength test".
    name : str
        The design's name, for titles.
    notes : tuple of str
        What the reader should know, a sentence each.
    seconds : float
        Wall time of the test.
    rounds : tuple of Round
        What each mesh said where the test refined; none otherwise.
    """

    rows: tuple[Outcome, ...]
    result: Any
    test: str = "test"
    name: str = ""
    notes: tuple[str, ...] = ()
    seconds: float = 0.0
    rounds: tuple[Round, ...] = ()

    @property
    def status(self) -> str:
        """FAIL if any requirement fails, else CANNOT TELL if any cannot be told, else PASS."""
        return overall(row.status for row in self.rows)

    def __bool__(self) -> bool:
        return self.status == PASS

    # What it stands on

    @cached_property
    def checks(self) -> PlainData:
        """Mesh, unknowns, solver, residual, equilibrium, energy error and seconds, plain data."""
        result = self.result
        mesh = result.model.mesh
        cases = [result[name] for name in result.cases]
        infos = [case.info for case in cases]
        # Responses are sums over modes; how well these solve their equations stands for all.
        solved = [result.modes] if result.physics == "vibration" else cases
        # Modes have each an interval of their own.
        energy = (
            []
            if hasattr(result, "modes")
            else [
                float(case.energy_error) for case in cases if getattr(case, "energy_error", None) is not None
            ]
        )
        return {
            "mesh": {
                "source": mesh.source,
                "points": mesh.n_points,
                "cells": {name: len(conn) for name, conn in mesh.cells.items()},
                "hash": mesh.content_hash(),
            },
            "n_dof": max((info.n_dof for info in infos), default=0),
            "solver": infos[0].solver if infos else "",
            "iterations": max((info.iterations for info in infos), default=0),
            "residual": max((abs(float(case.residual)) for case in solved), default=0.0),
            "imbalance": max((abs(float(case.imbalance)) for case in solved), default=0.0),
            "energy_error": max(energy, default=None),
            "physics": result.physics,
            "cases": list(result.cases),
            "modes": _modes_data(result),
            "responses": {
                name: {"said": _said(name, case), "residual": float(case.residual)}
                for name, case in getattr(result, "responses", {}).items()
            },
            "steps": {case.name: str(case.steps) for case in cases if hasattr(case, "steps")},
            "instants": max((len(frames_of(case)) for case in cases), default=0),
            "seconds": self.seconds,
        }

    @cached_property
    def tables(self) -> tuple[Table, ...]:
        """What belongs below the verdict: natural modes, buckling factors; nothing of most tests."""
        return tuple(self.result.tables)

    def to_dict(self) -> PlainData:
        """Plain data that `json.dumps` takes: SI numbers, texts of the table; inf and nan are words."""
        from designtwin import __version__

        data: PlainData = jsonable(
            {
                "designtwin": __version__,
                "python": platform.python_version(),
                "test": self.test,
                "name": self.name,
                "status": self.status,
                "requirements": [_row_data(row) for row in self.rows],
                "rounds": [one.to_dict() for one in self.rounds],
                "failure_zones": [zone.to_dict() for zone in self.failure_zones()],
                "checks": self.checks,
                "notes": list(self.notes),
            }
        )
        return data

    # Where it fails, and how that looks

    def failure_zones(self) -> tuple[FailureZone, ...]:
        """Connected regions beyond a limit, the worst first; see `criteria.zones`."""
        return self._zones

    @cached_property
    def _zones(self) -> tuple[FailureZone, ...]:
        return failure_zones(self.rows, self.result)

    def plot(self, name: str | Quantity = "", **options: Any) -> Any:
        """Picture of a field (the worst by default) with limits and failure zones; see ``designtwin.viz``."""
        from designtwin import edge

        return edge.plot_verdict(self, name, **options)

    def plot_zones(self, zones: Sequence[FailureZone] | None = None, **options: Any) -> Any:
        """Picture of the failure zones: close-up, cut and whereabouts of each; see ``designtwin.viz``."""
        from designtwin import edge

        return edge.plot_zones(self, zones, **options)

    def envelope(self, name: str | Quantity = "", *, cases: Sequence[str] | None = None) -> Envelope:
        """The worst of a field (of what is worst off by default) over cases and time; see `envelope`."""
        return envelope(self, name, cases=cases)

    def report(self, path: str | Path, **options: Any) -> Any:
        """Write a self-contained HTML page; see ``designtwin.report``."""
        from designtwin import edge

        return edge.report(self, path, **options)

    # The table

    def __rich__(self) -> RenderableType:
        from rich.console import Group
        from rich.text import Text

        title = Text.assemble(
            f"{self.test}{f' of {self.name}' if self.name else ''}: ",
            (self.status, _STYLES[self.status]),
            style="bold",
        )
        lines = [Text(line) for line in self._lines()]
        rounds = [Text("rounds of refinement", style="bold"), self._rounds_table()] if self.rounds else []
        return Group(title, self._table(), *rounds, *lines)

    def _rounds_table(self) -> RenderableType:
        """One line a mesh, one pair of columns for each requirement that some mesh left open."""
        from rich import box
        from rich.table import Table
        from rich.text import Text

        table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False)
        table.add_column("mesh", no_wrap=True)
        table.add_column("cells", justify="right", no_wrap=True)
        table.add_column("unknowns", justify="right", no_wrap=True)
        told = self.rounds_told
        for i in told:
            table.add_column(str(self.rows[i].requirement), overflow="fold")
        for one in self.rounds:
            cells = [Text(one.how), Text(f"{one.n_cells:,}"), Text(f"{one.n_dof:,}")]
            for i in told:
                row = one.rows[i]
                text = show_value(row.value, row.requirement.quantity.dimension)
                cells.append(Text.assemble(f"{text}  ", (row.status, _STYLES[row.status])))
            table.add_row(*cells)
        return table

    @property
    def rounds_told(self) -> list[int]:
        """Numbers of the requirements that some round left open; of all where none did."""
        open_ = [
            i for i in range(len(self.rows)) if any(one.rows[i].status == CANNOT_TELL for one in self.rounds)
        ]
        return open_ or list(range(len(self.rows)))

    def _table(self) -> RenderableType:
        from rich import box
        from rich.table import Table
        from rich.text import Text

        table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False, expand=True)
        excluded = any(row.excluded for row in self.rows)
        table.add_column("requirement", ratio=10, overflow="fold")
        table.add_column("value ± error", ratio=7)
        table.add_column("margin", justify="right", no_wrap=True)
        table.add_column("status", no_wrap=True)
        longest = max((len(row.value.case_text) for row in self.rows), default=0)
        table.add_column("case", width=min(max(longest, 4), 22), overflow="fold")
        table.add_column("place", ratio=8, overflow="fold")
        if excluded:
            longest = max(len(word) for row in self.rows for word in (*row.excluded.split(), "excluded"))
            table.add_column("excluded", width=min(max(longest, 12), 24), overflow="fold")
        for row in self.rows:
            quantity = row.requirement.quantity
            cells: list[Any] = [
                Text(str(row.requirement)),
                Text(show_value(row.value, quantity.dimension)),
                Text(show_margin(row)),
                Text(row.status, style=_STYLES[row.status]),
                Text(row.value.case_text),
                Text("" if row.value.place is None else str(row.value.place)),
            ]
            table.add_row(*cells, *([Text(row.excluded)] if excluded else []))
        return table

    def _lines(self) -> list[str]:
        """What stands below the table."""
        checks = self.checks
        cells = ", ".join(f"{count:,} {name}" for name, count in checks["mesh"]["cells"].items())
        many = "" if checks["iterations"] == 1 else "s"
        steps = f", {checks['iterations']} iteration{many}" if checks["iterations"] else ""
        energy = (
            "" if checks["energy_error"] is None else f", energy error {100 * checks['energy_error']:.2g} %"
        )
        source = Path(checks["mesh"]["source"]).name or "unnamed"
        balanced = (
            "heat put in and stored balance to"
            if checks["steps"] and checks["physics"] == "thermal"
            else "loads and reactions balance to"
        )
        modes = checks["modes"]
        if modes is not None:
            rigid = f", {modes['rigid']} of them rigid motions" if modes["rigid"] else ""
            balanced = f"inertia and reactions of {modes['count']} modes{rigid} balance to"
        lines = [
            f"mesh {source}: {checks['mesh']['points']:,} points, {cells}; {checks['n_dof']:,} unknowns",
            f"solver {checks['solver']}{steps}, {self.seconds:.1f} s in all",
            f"residual {checks['residual']:.1e}, {balanced} {checks['imbalance']:.1e}{energy}",
        ]
        if modes is not None and modes["checked"]:
            top = units.show(modes["complete_to"], "frequency")
            lines.append(f"modes up to {top}; {modes['checked']}")
        lines += [f"response {one['said']}" for one in checks["responses"].values()]
        of_case = {name: f"case {name}: " for name in checks["steps"]} if len(checks["cases"]) > 1 else {}
        if modes is None:
            lines += [f"time {of_case.get(name, '')}{steps}" for name, steps in checks["steps"].items()]
        lines += [f"{row.status}: {row.reason}" for row in self.rows if row.reason]
        lines += [
            f"note: {row.requirement.quantity.label}: {row.value.note}"
            for row in self.rows
            if row.value.note and not row.value.singular  # its reason says it already
        ]
        return lines + [f"note: {note}" for note in self.notes]

    def __repr__(self) -> str:
        return f"<Verdict of {self.test}: {self.status}, {len(self.rows)} requirements>"

    def __str__(self) -> str:
        from io import StringIO

        from rich.console import Console

        out = StringIO()
        # In a notebook a console would show itself instead of filling `out`.
        plain: dict[str, Any] = {"color_system": None, "legacy_windows": False, "force_jupyter": False}
        Console(file=out, width=WIDTH, highlight=False, **plain).print(self)
        return "\n".join(line.rstrip() for line in out.getvalue().splitlines())


def _said(name: str, case: Any) -> str:
    """A response in a line: the one of its text that begins with its name."""
    lines = [line.strip() for line in str(case).splitlines()]
    return next((line for line in lines if line.startswith(name)), lines[0])


def _modes_data(result: Any) -> PlainData | None:
    """What is known of the modes of a vibration result; None of others."""
    if getattr(result, "physics", "") != "vibration":
        return None
    modes = result.modes
    return {
        "count": len(modes),
        "rigid": int(modes.n_rigid),
        "complete_to": complete_to(modes),
        "checked": str(modes.checked),
        "frequencies": [float(f) for f in modes.frequencies],
    }


def overall(statuses: Any) -> str:
    """One status of many: any FAIL fails, else any CANNOT TELL leaves it open."""
    seen = set(statuses)
    return FAIL if FAIL in seen else CANNOT_TELL if CANNOT_TELL in seen else PASS


def _row_data(row: Outcome) -> PlainData:
    requirement, value = row.requirement, row.value
    quantity = requirement.quantity
    place = value.place
    # What has no bound has no number: the word stands in its place.
    number: Any = SINGULAR if value.singular else value.value
    return {
        "requirement": str(requirement),
        "quantity": quantity.to_dict(),
        "dimension": quantity.dimension,
        "relation": requirement.relation,
        "limit": requirement.limit,
        "value": number,
        "singular": value.singular,
        "error": value.error,
        "low": value.low,
        "high": value.high,
        "margin": row.margin,
        "margin_is_relative": requirement.margin_is_relative,
        "status": row.status,
        "case": value.case,
        "instant": value.instant,
        "frequency": value.frequency,
        "place": None
        if place is None
        else {"point": list(place.point), "node": place.node, "near": place.near},
        "excluded": row.excluded,
        "note": value.note,
        "reason": row.reason,
        "text": {
            "limit": requirement.limit_text,
            "value": show_value(value, quantity.dimension),
            "margin": show_margin(row),
            "place": "" if place is None else str(place),
            "instant": value.when_text,
        },
    }


def jsonable(data: Any) -> Any:
    """The same with infinities and nan as words, which JSON has no numbers for."""
    if isinstance(data, dict):
        return {str(key): jsonable(value) for key, value in data.items()}
    if isinstance(data, list | tuple):
        return [jsonable(item) for item in data]
    if isinstance(data, float) and not math.isfinite(data):
        return "nan" if math.isnan(data) else "inf" if data > 0 else "-inf"
    if hasattr(data, "item"):
        return jsonable(data.item())
    return data
