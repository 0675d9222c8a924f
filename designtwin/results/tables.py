"""Tables of numbers, as terminals and notebooks show them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.console import RenderableType

WIDTH = 110


@dataclass(frozen=True, eq=False, repr=False)
class Table:
    """Rows of a result: prints as text, shows as a table in a notebook, and gives its numbers.

    Parameters
    ----------
    title : str
    headings : sequence of str
    cells : sequence of sequence of str
        What is shown, row by row; numbers stand right.
    rows : sequence of mapping
        The same as data, SI.
    notes : sequence of str
        Below the table.
    """

    title: str
    headings: Sequence[str]
    cells: Sequence[Sequence[str]]
    rows: Sequence[Mapping[str, Any]]
    notes: Sequence[str] = ()

    def _is_number(self, column: int) -> bool:
        texts = [row[column] for row in self.cells if row[column]]
        return bool(texts) and all(text[0] in "-+0123456789" for text in texts)

    def __rich__(self) -> RenderableType:
        from rich import box
        from rich.console import Group
        from rich.table import Table as Grid
        from rich.text import Text

        grid = Grid(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False)
        for k, heading in enumerate(self.headings):
            number = self._is_number(k)
            grid.add_column(
                Text(heading), justify="right" if number else "left", no_wrap=number, overflow="fold"
            )
        for row in self.cells:
            grid.add_row(*map(Text, row))
        return Group(Text(self.title, style="bold"), grid, *map(Text, self.notes))

    def __str__(self) -> str:
        from io import StringIO

        from rich.console import Console

        out = StringIO()
        # In a notebook a console would show itself instead of filling `out`.
        plain: dict[str, Any] = {"color_system": None, "legacy_windows": False, "force_jupyter": False}
        Console(file=out, width=WIDTH, highlight=False, **plain).print(self)
        return "\n".join(line.rstrip() for line in out.getvalue().splitlines())

    def __repr__(self) -> str:
        return f"<Table {self.title!r}, {len(self.rows)} rows>"

    def _repr_html_(self) -> str:
        right = [self._is_number(k) for k in range(len(self.headings))]
        style = [
            ' style="text-align:right"' if is_right else ' style="text-align:left"' for is_right in right
        ]
        head = "".join(f"<th{s}>{escape(text)}</th>" for s, text in zip(style, self.headings, strict=True))
        body = "".join(
            "<tr>"
            + "".join(f"<td{s}>{escape(text)}</td>" for s, text in zip(style, row, strict=True))
            + "</tr>"
            for row in self.cells
        )
        notes = "".join(f"<p>{escape(note)}</p>" for note in self.notes)
        return (
            f"<table><caption><b>{escape(self.title)}</b></caption><thead><tr>{head}</tr></thead>"
            f"<tbody>{body}</tbody></table>{notes}"
        )
