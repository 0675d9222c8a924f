"""Sensor logs: columns of numbers over time, as loggers write them in CSV."""

from __future__ import annotations

import csv
import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import numpy as np

from designtwin.errors import ModelError, did_you_mean
from designtwin.typing import FloatArray
from designtwin.units import show, to_si

_MOST = 200_000_000
"""Bytes above which a text file is no log that a load should follow."""


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
    """

    source: str
    times: FloatArray
    columns: Mapping[str, FloatArray]
    units: Mapping[str, str]

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
        return f"{self.source}: {len(self):,} readings of {', '.join(self.columns)}, {ends}"


def read_log(path: str | Path, *, time: str, units: Mapping[str, str] | None = None) -> SensorLog:
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

    Returns
    -------
    SensorLog
        ``log["power"]`` stands wherever a table over time may.

    Raises
    ------
    ModelError
        If there is no such file or column, times do not increase, or a row cannot be read; names the line.
    UnitError
        If the unit of the times is none.
    """
    path = Path(path)
    lines = _lines(path)
    number, head = lines[0]
    separator = max(",;\t", key=head.count)
    names, stated = _names(head, separator, f"{path}, line {number}")
    stated |= dict(units or {})
    for name in (time, *(units or ())):
        if name not in names:
            raise ModelError(
                f"{path} has no column {name!r}{did_you_mean(name, names)}; line {number} names "
                f"{', '.join(map(repr, names))}"
            )
    rows = _rows(lines[1:], separator, names, path)
    if len(rows) < 2:
        raise ModelError(f"{path}: a log needs at least two rows below its names; it has {len(rows)}")
    numbers = [number for number, _ in lines[1:]]
    columns: dict[str, FloatArray] = {}
    for i, name in enumerate(names):
        text = [row[i] for row in rows]
        if name == time:
            times = _times(text, numbers, stated.get(name), path, name)
        elif name in stated or _number(text[0], separator) is not None:
            columns[name] = _column(text, numbers, separator, path, name)
    falls = np.flatnonzero(np.diff(times) <= 0.0)
    if len(falls):
        row = int(falls[0]) + 1
        raise ModelError(
            f"{path}, line {numbers[row]}: time must increase; {rows[row][names.index(time)]!r} follows "
            f"{rows[row - 1][names.index(time)]!r} of line {numbers[row - 1]}"
        )
    for array in (times, *columns.values()):
        array.setflags(write=False)
    return SensorLog(str(path), times, columns, {k: v for k, v in stated.items() if k in columns})


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
    except (OSError, UnicodeDecodeError) as error:
        raise ModelError(f"{path}: cannot be read: {error}") from None
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
    out = np.empty(len(text))
    for i, cell in enumerate(text):
        found = _number(cell, separator)
        if found is None or not math.isfinite(found):
            what = f"holds {cell.strip()!r}, no finite number" if cell.strip() else "is empty"
            raise ModelError(
                f"{path}, line {numbers[i]}: column {name!r} {what}; mend the row, or take it out"
            )
        out[i] = found
    return out


def _times(text: list[str], numbers: list[int], unit: str | None, path: Path, name: str) -> FloatArray:
    """Seconds; dates count from the first."""
    if _number(text[0], ";") is None:
        return _dates(text, numbers, path, name)
    values = _column(text, numbers, ";", path, name)
    return values if unit is None else Signal(name, values, values, unit, str(path)).si("time", name="time")


def _dates(text: list[str], numbers: list[int], path: Path, name: str) -> FloatArray:
    out = np.empty(len(text))
    first: datetime | None = None
    for i, cell in enumerate(text):
        try:
            at = datetime.fromisoformat(cell.strip())
            first = first or at
            out[i] = (at - first).total_seconds()
        except (ValueError, TypeError):  # TypeError: some with a time zone, some without
            raise ModelError(
                f"{path}, line {numbers[i]}: column {name!r} holds {cell.strip()!r}, neither a number of "
                "seconds nor a date such as 2026-05-01 12:00:05"
            ) from None
    return out
