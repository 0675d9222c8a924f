"""Sensor logs: columns of numbers over time, as loggers write them in CSV."""

from __future__ import annotations

import csv
import math
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import numpy as np

from designtwin.errors import ModelError, did_you_mean
from designtwin.typing import BoolArray, FloatArray, IntArray
from designtwin.units import show, to_si

_MOST = 200_000_000
"""Bytes above which a text file is no log that a load should follow."""
_CLEAN = {
    "gaps": "rows with an empty or nan field",
    "time": "rows whose time is not later than all before",
}
_TOLD = 5
"""Lines that a message names."""


@dataclass(frozen=True, eq=False)
class Signal:
    """One column of a log; stands wherever a table over time may.

    Parameters
    ----------
    name : str
    times : float64[k]
        s, strictly increasing.
    values : float64[k]
        In `unit`.
    unit : str or None
        None: the numbers are SI.
    source : str
        The file, for messages.
    """

    name: str
    times: FloatArray
    values: FloatArray
    unit: str | None = None
    source: str = ""

    def si(self, dimension: str, *, name: str) -> FloatArray:
        """Its values in SI, float64[k].

        Raises
        ------
        UnitError
            If the unit is of another dimension.
        """
        who = f"{name}, column {self.name!r} of {self.source}" if self.source else f"{name}, {self.name!r}"
        if self.unit is None:
            return np.asarray(to_si(self.values, dimension, name=who))
        # Units are affine: two numbers give the whole conversion.
        zero, one = (float(to_si(f"{x} {self.unit}", dimension, name=who)) for x in (0, 1))
        return np.asarray(to_si(zero + (one - zero) * self.values, dimension, name=who))

    def __len__(self) -> int:
        return len(self.times)

    def __str__(self) -> str:
        ends = f"{show(self.times[0], 'time')} to {show(self.times[-1], 'time')}"
        return f"{self.name}: {len(self):,} readings, {ends}" + (f", {self.unit}" if self.unit else "")


@dataclass(frozen=True, eq=False)
class SensorLog:
    """Readings of several sensors over one time: ``log["power"]`` is a `Signal`.

    Parameters
    ----------
    source : str
        The file.
    times : float64[k]
        s, strictly increasing.
    columns : dict
        Name to float64[k].
    units : dict
        Name to unit, where one was given.
    notes : tuple of str
        What was left out of the file, counted.
    """

    source: str
    times: FloatArray
    columns: Mapping[str, FloatArray]
    units: Mapping[str, str]
    notes: tuple[str, ...] = ()

    def __getitem__(self, name: str) -> Signal:
        if name not in self.columns:
            raise ModelError(
                f"the log {self.source} has no column {name!r}{did_you_mean(name, self.columns)}; "
                f"it has {', '.join(map(repr, self.columns))}"
            )
        return Signal(name, self.times, self.columns[name], self.units.get(name), self.source)

    def __iter__(self) -> Iterator[str]:
        return iter(self.columns)

    def __len__(self) -> int:
        return len(self.times)

    def __str__(self) -> str:
        ends = f"{show(self.times[0], 'time')} to {show(self.times[-1], 'time')}"
        lines = [f"{self.source}: {len(self):,} readings of {', '.join(self.columns)}, {ends}", *self.notes]
        return "\n".join(lines)


def read_log(
    path: str | Path,
    *,
    time: str,
    units: Mapping[str, str] | None = None,
    columns: Sequence[str] | None = None,
    clean: str | Sequence[str] = (),
) -> SensorLog:
    """Read a sensor log: CSV with a row of names and then a row per instant.

    Fields are separated by commas, semicolons (then 1,5 is a number too) or tabs; lines that begin with # and
    empty lines are passed over. A name may carry its unit, as ``power [W]``. Columns of text are set aside.

    Parameters
    ----------
    path : path
    time : str
        The column of times: numbers (seconds, unless `units` or the name say otherwise), or dates such as
        ``2026-05-01 12:00:05``, counted from the first.
    units : dict, optional
        Unit by column, as ``{"power": "kW", "inlet": "degC"}``; columns without one are in SI.
    columns : sequence of str, optional
        Those that are read; all with numbers unless given.
    clean : str or sequence of str
        What may be left out; nothing unless said. "gaps": rows in which a column that is read is empty or
        nan; "time": rows whose time is not later than all before. The log's notes count what was, and name
        the columns that were set aside.

    Returns
    -------
    SensorLog
        ``log["power"]`` stands wherever a table over time may.

    Raises
    ------
    ModelError
        If there is no such file or column, times do not increase, or rows cannot be read; names the lines. If
        more than half of the rows would be left out, no column has numbers, or `units` contradicts a name.
    UnitError
        If the unit of the times is none.
    """
    path = Path(path)
    lines = _lines(path)
    number, head = lines[0]
    separator = max(",;\t", key=head.count)
    names, stated = _names(head, separator, f"{path}, line {number}")
    for name, unit in (units or {}).items():
        if stated.get(name, unit) != unit:
            raise ModelError(
                f"{path}, line {number}: column {name!r} is in {stated[name]!r} by its name, units says "
                f"{unit!r}; take one of them out"
            )
    stated |= dict(units or {})
    allowed = (clean,) if isinstance(clean, str) or not isinstance(clean, Iterable) else tuple(clean)
    for word in allowed:
        if word not in _CLEAN:
            raise ModelError(
                f"clean={word!r}{did_you_mean(str(word), _CLEAN)}; what may be left out is "
                f"{', '.join(map(repr, _CLEAN))}"
            )
    for name in (time, *(units or ()), *(columns or ())):
        if name not in names:
            raise ModelError(
                f"{path} has no column {name!r}{did_you_mean(name, names)}; line {number} names "
                f"{', '.join(map(repr, names))}"
            )
    rows = _rows(lines[1:], separator, names, path)
    if len(rows) < 2:
        raise ModelError(f"{path}: a log needs at least two rows below its names; it has {len(rows)}")
    table = _Table(path, [number for number, _ in lines[1:]], separator, gaps="gaps" in allowed)
    found: dict[str, FloatArray] = {}
    aside: list[str] = []
    for i, name in enumerate(names):
        text = [row[i] for row in rows]
        if name == time:
            times = table.times(text, stated.get(name), name)
        elif columns is not None and name not in columns:
            continue
        elif columns is not None or name in stated or _holds_numbers(text, separator):
            found[name] = table.column(text, name)
        elif any(cell.strip() for cell in text):
            aside.append(f"{name!r} ({next(cell.strip() for cell in text if cell.strip())[:20]!r})")
    if not found:
        other = f"; columns of text: {', '.join(aside[:_TOLD])}" if aside else ""
        raise ModelError(f"{path}: no column of numbers but the times is read{other}")
    keep, notes = table.cleaned(times, [row[names.index(time)] for row in rows], late="time" in allowed)
    if notes:
        times = times[keep]
        found = {name: values[keep] for name, values in found.items()}
    for array in (times, *found.values()):
        array.setflags(write=False)
    if aside:
        more = f" and {len(aside) - _TOLD} more" if len(aside) > _TOLD else ""
        notes = (*notes, f"{path}: columns of text set aside: {', '.join(aside[:_TOLD])}{more}")
    return SensorLog(str(path), times, found, {k: v for k, v in stated.items() if k in found}, notes)


def _lines(path: Path) -> list[tuple[int, str]]:
    """Lines that say something, each with its number."""
    try:
        if path.stat().st_size > _MOST:
            raise ModelError(
                f"{path} has {path.stat().st_size / 1e6:.0f} MB; a log may have {_MOST // 1_000_000} MB: "
                "thin it out first"
            )
        text = path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        beside = sorted(p.name for p in path.parent.glob("*.csv")) if path.parent.is_dir() else []
        raise ModelError(f"{path}: there is no such file{did_you_mean(path.name, beside)}") from None
    except OSError as error:
        raise ModelError(f"{path}: cannot be read: {error}") from None
    except UnicodeDecodeError as error:
        raise ModelError(f"{path}: is no text in UTF-8 ({error}); save it as UTF-8") from None
    found = [
        (i, line) for i, line in enumerate(text.splitlines(), 1) if line.strip() and not line.startswith("#")
    ]
    if not found:
        raise ModelError(f"{path} is empty; a row of names and rows of numbers are wanted")
    return found


def _names(head: str, separator: str, where: str) -> tuple[list[str], dict[str, str]]:
    """Names of the columns, and the units that stand in brackets behind them."""
    units: dict[str, str] = {}
    names: list[str] = []
    for cell in next(csv.reader([head], delimiter=separator)):
        match = re.fullmatch(r"\s*(.*?)\s*\[([^\]]+)\]\s*", cell)
        name = match[1] if match else cell.strip()
        if match:
            units[name] = match[2].strip()
        names.append(name)
    if all(_number(name, separator) is not None for name in names):
        raise ModelError(f"{where}: the first row names the columns; it holds numbers: {head.strip()!r}")
    twice = [name for i, name in enumerate(names) if name in names[:i]]
    if twice:
        raise ModelError(f"{where}: two columns are named {twice[0]!r}; give each a name of its own")
    return names, units


def _rows(lines: list[tuple[int, str]], separator: str, names: list[str], path: Path) -> list[list[str]]:
    rows = list(csv.reader((line for _, line in lines), delimiter=separator))
    if len(rows) != len(lines):
        raise ModelError(f"{path}: a quoted field goes over several lines; a log has one row a line")
    for (number, line), row in zip(lines, rows, strict=True):
        if len(row) != len(names):
            raise ModelError(
                f"{path}, line {number}: {len(row)} fields where {len(names)} columns are named: "
                f"{line.strip()[:60]!r}"
            )
    return rows


def _number(text: str, separator: str) -> float | None:
    """The number a field holds, None if it holds none."""
    if separator == ";":
        text = text.replace(",", ".")
    try:
        return float(text)
    except ValueError:
        return None


def _column(text: list[str], numbers: list[int], separator: str, path: Path, name: str) -> FloatArray:
    """Numbers of a column none of which may be missing."""
    return _Table(path, numbers, separator, gaps=False).column(text, name)


def _holds_numbers(text: list[str], separator: str) -> bool:
    """Whether the first field that is not empty holds a number."""
    first = next((cell for cell in text if cell.strip()), "")
    return _number(first, separator) is not None


class _Table:
    """Fields of a file as numbers; remembers which rows cannot be had.

    Parameters
    ----------
    path : Path
    numbers : list of int
        The line of each row.
    separator : str
    gaps : bool
        Whether rows with empty fields may be left out.
    """

    def __init__(self, path: Path, numbers: list[int], separator: str, *, gaps: bool) -> None:
        self.path, self.numbers, self.separator, self.gaps = path, numbers, separator, gaps
        self.empty = np.zeros(len(numbers), bool)

    def _refuse(self, name: str, bad: list[int], text: list[str], what: str) -> None:
        """Raise where fields are bad, or remember those that are empty and may be left out."""
        missing = [i for i in bad if text[i].strip().lower() in ("", "nan")]
        if self.gaps:
            self.empty[missing] = True
            bad = sorted(set(bad) - set(missing))
        if not bad:
            return
        cell = text[bad[0]].strip()
        said = f"holds {cell!r}, {what}" if cell else "is empty"
        rest = ""
        if len(bad) > 1:
            rest = f" (and so in {len(bad) - 1:,} more rows: {self.lines(bad[1:])})"
        remedy = "mend the row, or take it out"
        if len(missing) == len(bad):
            remedy += '; clean="gaps" leaves such rows out and counts them'
        raise ModelError(f"{self.path}, line {self.numbers[bad[0]]}: column {name!r} {said}{rest}; {remedy}")

    def lines(self, rows: Sequence[int] | IntArray) -> str:
        """Rows by the numbers of their lines, some of them."""
        some = ", ".join(str(self.numbers[i]) for i in rows[:_TOLD])
        return f"line{'s' if len(rows) > 1 else ''} {some}{', ...' if len(rows) > _TOLD else ''}"

    def column(self, text: list[str], name: str, separator: str = "") -> FloatArray:
        """Numbers of a column, float64[rows]; nan where a row will be left out."""
        out = np.empty(len(text))
        bad = []
        for i, cell in enumerate(text):
            found = _number(cell, separator or self.separator)
            out[i] = math.nan if found is None else found
            if not math.isfinite(out[i]):
                bad.append(i)
        self._refuse(name, bad, text, "no finite number")
        return out

    def times(self, text: list[str], unit: str | None, name: str) -> FloatArray:
        """Seconds; dates count from the first."""
        if not _holds_numbers(text, ";"):
            return self._dates(text, name)
        values = self.column(text, name, ";")
        if unit is None:
            return values
        had = ~self.empty
        seconds = np.full(len(values), math.nan)
        seconds[had] = Signal(name, values[had], values[had], unit, str(self.path)).si("time", name="time")
        return seconds

    def _dates(self, text: list[str], name: str) -> FloatArray:
        out = np.empty(len(text))
        first: datetime | None = None
        bad = []
        for i, cell in enumerate(text):
            try:
                at = datetime.fromisoformat(cell.strip())
                first = first or at
                out[i] = (at - first).total_seconds()
            except (ValueError, TypeError):  # TypeError: some with a time zone, some without
                out[i] = math.nan
                bad.append(i)
        self._refuse(name, bad, text, "neither a number of seconds nor a date such as 2026-05-01 12:00:05")
        return out

    def cleaned(self, times: FloatArray, text: list[str], *, late: bool) -> tuple[BoolArray, tuple[str, ...]]:
        """Rows that stay, bool[rows], and what is said of the others."""
        keep = ~self.empty
        dropped = {"gaps": np.flatnonzero(self.empty)}
        rows = np.flatnonzero(keep)
        # The latest time before each row that stays.
        before = np.maximum.accumulate(np.concatenate([[-math.inf], times[rows][:-1]])) if len(rows) else rows
        falls = rows[times[rows] <= before]
        if len(falls) and not late:
            row = int(falls[0])
            last = int(rows[int(np.searchsorted(rows, row)) - 1])
            rest = f" (and so {len(falls) - 1:,} times more)" if len(falls) > 1 else ""
            raise ModelError(
                f"{self.path}, line {self.numbers[row]}: time must increase; {text[row]!r} follows "
                f"{text[last]!r} of line {self.numbers[last]}{rest}; mend the log, or leave such rows "
                'out with clean="time", which counts them'
            )
        dropped["time"] = falls
        keep[falls] = False
        lost = int((~keep).sum())
        if 2 * lost > len(keep) or lost > len(keep) - 2:
            said = " and ".join(f"{len(v):,} {_CLEAN[k]}" for k, v in dropped.items() if len(v))
            raise ModelError(
                f"{self.path}: {said} of {len(keep):,} would be left out; that is no log to go by: mend it "
                "first"
            )
        return keep, tuple(
            f"{self.path}: left out {len(rows):,} of {len(keep):,} rows: {_CLEAN[word]} ({self.lines(rows)})"
            for word, rows in dropped.items()
            if len(rows)
        )
