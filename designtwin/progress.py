"""Progress for whoever watches: a bar in a terminal, one line in a notebook, silence everywhere else.

    with track("strength test", total=3) as progress:
        progress.step("assemble")
        ...
        progress.step("factorize")

A step names what begins now; the bar counts what is done. Tracks may nest: a study's bar stays while the bars
of its analyses come and go below it. Nothing is shown when nobody looks (no terminal and no notebook), in
continuous integration (`CI` set), and when `DESIGNTWIN_QUIET` is 1; what would have been shown is logged to
``designtwin.progress`` instead.
"""

from __future__ import annotations

import logging
import os
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Protocol

logger = logging.getLogger("designtwin.progress")

_FALSE = ("", "0", "false", "no", "off")
_REDRAW = 0.15  # seconds between updates of a notebook line
_WORTH_A_LINE = 0.5  # seconds below which a finished track leaves no trace


def watcher() -> str | None:
    """Who watches: "terminal", "notebook" or None.

    A terminal is one at the other end of standard error, where progress goes; standard output stays clean
    for tables.
    """
    if os.environ.get("DESIGNTWIN_QUIET", "").lower() not in _FALSE:
        return None
    if os.environ.get("CI", "").lower() not in _FALSE:
        return None
    if in_notebook():
        return "notebook"
    try:
        seen = sys.stderr is not None and sys.stderr.isatty()
    except ValueError:  # a closed stream
        seen = False
    return "terminal" if seen and os.environ.get("TERM") != "dumb" else None


def in_notebook() -> bool:
    """True in a Jupyter kernel; IPython is asked only if something has loaded it already."""
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython is not None else None
    return shell is not None and getattr(shell, "kernel", None) is not None


class Progress:
    """One tracked piece of work; `track` makes it."""

    def __init__(self, description: str, total: float | None, show: _Show) -> None:
        self.description = description
        self.total = total
        self.done = 0.0
        self.text = ""
        self._show = show
        self._pending = 0.0
        self._began = time.perf_counter()

    def step(self, text: str = "", advance: float = 1.0) -> None:
        """Begin the next step: the one before is done, and `text` names what happens now.

        Parameters
        ----------
        text : str
            A few words; "" keeps those before.
        advance : float
            How much of `total` this step is worth once done.
        """
        self.done += self._pending
        self._pending = advance
        self._say(text)

    def advance(self, amount: float = 1.0, text: str = "") -> None:
        """Count work that is done already, such as one of many evaluations."""
        self.done += amount
        self._say(text)

    @property
    def elapsed(self) -> float:
        """Seconds since the track began."""
        return time.perf_counter() - self._began

    def _say(self, text: str) -> None:
        self.text = text or self.text
        logger.debug("%s: %s", self.description, self.text)
        self._show.update(self)

    def _finish(self, ok: bool) -> None:
        if ok:
            self.done = self.done + self._pending if self.total is None else self.total
        self._pending = 0.0


@contextmanager
def track(description: str, total: float | None = None) -> Iterator[Progress]:
    """Show progress while the block runs.

    Parameters
    ----------
    description : str
        What is being done: "strength test".
    total : float, optional
        The sum of all steps; None where it is not known.

    Yields
    ------
    Progress
        Call its ``step(text)`` as each step begins.
    """
    show = _stage.enter()
    progress = Progress(description, total, show)
    ok = False
    try:
        show.begin(progress)
        yield progress
        ok = True
    finally:
        progress._finish(ok)
        logger.info("%s: %s after %.1f s", description, "done" if ok else "stopped", progress.elapsed)
        show.end(progress, ok)
        _stage.leave()


class _Show(Protocol):
    def begin(self, progress: Progress) -> None: ...
    def update(self, progress: Progress) -> None: ...
    def end(self, progress: Progress, ok: bool) -> None: ...
    def close(self) -> None: ...


class _Silence:
    def begin(self, progress: Progress) -> None: ...
    def update(self, progress: Progress) -> None: ...
    def end(self, progress: Progress, ok: bool) -> None: ...
    def close(self) -> None: ...


class _Terminal:
    """Bars of rich on standard error; each vanishes when done, the outermost leaves a line behind."""

    def __init__(self) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

        self.console = Console(stderr=True)
        self.bars = Progress(
            SpinnerColumn(),
            TextColumn("{task.description}"),
            BarColumn(bar_width=28),
            TimeElapsedColumn(),
            TextColumn("[dim]{task.fields[now]}"),
            console=self.console,
            transient=True,
            refresh_per_second=8,
        )
        self.tasks: dict[int, Any] = {}
        self.lines: list[str] = []
        self.bars.start()

    def begin(self, progress: Progress) -> None:
        from rich.markup import escape

        indent = "  " * len(self.tasks)
        task = self.bars.add_task(indent + escape(progress.description), total=progress.total, now="")
        self.tasks[id(progress)] = task

    def update(self, progress: Progress) -> None:
        from rich.markup import escape

        # A sub-track with few steps may overshoot a careless total; a bar beyond its end looks broken.
        done = progress.done if progress.total is None else min(progress.done, progress.total)
        self.bars.update(self.tasks[id(progress)], completed=done, now=escape(progress.text))

    def end(self, progress: Progress, ok: bool) -> None:
        self.bars.remove_task(self.tasks.pop(id(progress)))
        if not self.tasks and progress.elapsed > _WORTH_A_LINE:
            from rich.markup import escape

            mark = "[green]✓[/]" if ok else "[red]✗[/]"
            text = f"{mark} {escape(progress.description)} [dim]{progress.elapsed:.1f} s[/]"
            self.console.print(text, highlight=False)

    def close(self) -> None:
        self.bars.stop()


class _Notebook:
    """One line of output, rewritten in place; ipywidgets is not needed."""

    def __init__(self) -> None:
        self.open: list[Progress] = []
        self.handle: Any = None
        self.drawn = 0.0

    def begin(self, progress: Progress) -> None:
        self.open.append(progress)
        self._draw()

    def update(self, progress: Progress) -> None:
        if time.perf_counter() - self.drawn > _REDRAW:
            self._draw()

    def end(self, progress: Progress, ok: bool) -> None:
        if len(self.open) > 1:
            self.open.remove(progress)
            return
        self.open.clear()
        mark = "✓" if ok else "✗"
        brief = progress.elapsed <= _WORTH_A_LINE
        self._write("" if brief else f"{mark} {progress.description} {progress.elapsed:.1f} s")

    def close(self) -> None: ...

    def _draw(self) -> None:
        self.drawn = time.perf_counter()
        parts = []
        for progress in self.open:
            share = f" {min(progress.done / progress.total, 1.0):.0%}" if progress.total else ""
            parts.append(f"{progress.description}{share}" + (f" · {progress.text}" if progress.text else ""))
        self._write("  ›  ".join(parts))

    def _write(self, text: str) -> None:
        from IPython import display

        line = _Line(text)
        if self.handle is None:
            if text:
                self.handle = display.display(line, display_id=True)
        else:
            self.handle.update(line)


class _Line:
    """Plain text that a notebook shows as it is."""

    def __init__(self, text: str) -> None:
        self.text = text

    def __repr__(self) -> str:
        return self.text


class _Stage:
    """The one display that nested tracks share; a second live display would tear the first."""

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self.depth = 0
        self.show: _Show = _Silence()

    def enter(self) -> _Show:
        with self.lock:
            if self.depth == 0:
                self.show = _shows[watcher()]()
            self.depth += 1
            return self.show

    def leave(self) -> None:
        with self.lock:
            self.depth -= 1
            if self.depth == 0:
                self.show.close()
                self.show = _Silence()


_shows: dict[str | None, Callable[[], _Show]] = {None: _Silence, "terminal": _Terminal, "notebook": _Notebook}
_stage = _Stage()
