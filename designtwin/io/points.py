"""Point clouds: values at points of space, as text of other programs and of measurements has them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from designtwin.errors import ModelError, did_you_mean
from designtwin.io.logs import Signal, _column, _lines, _names, _number, _rows
from designtwin.typing import FloatArray
from designtwin.units import show, symbol


@dataclass(frozen=True, eq=False, repr=False)
class PointCloud:
    """Values at scattered points; ``transfer(cloud, mesh)`` brings them to the nodes of a mesh.

    Parameters
    ----------
    points : float64[k, 3]
        m.
    values : float64[k]
        SI.
    dimension : str
        What they are, such as "temperature".
    source : str
        The file, for messages.
    """

    points: FloatArray
    values: FloatArray
    dimension: str = "temperature"
    source: str = ""

    def __len__(self) -> int:
        return len(self.points)

    def __repr__(self) -> str:
        return f"<PointCloud {self}>"

    def __str__(self) -> str:
        spread = show(np.array([self.values.min(), self.values.max()]), self.dimension)
        return f"{self.source or 'points'}: {len(self):,} points within {spread}"


def read_points(
    path: str | Path,
    *,
    columns: Sequence[str] = ("x", "y", "z", "T"),
    length_unit: str | None = None,
    unit: str | None = None,
    dimension: str = "temperature",
) -> PointCloud:
    """Read values at points: a row per point, fields parted by commas, semicolons, tabs or blanks.

    With semicolons 1,5 is a number too; lines that begin with # and empty lines are passed over. Units may
    stand in brackets behind the names: ``x [mm]``, ``T (degC)``.

    Parameters
    ----------
    path : path
    columns : sequence of str
        The columns of x, y, z (or x, y of a plane) and of the value, in this order. Where the file has no
        row of names they name its columns from the left.
    length_unit : str, optional
        Of the places, where the file does not say: "mm".
    unit : str, optional
        Of the values, where the file does not say: "degC".
    dimension : str
        What the values are; a key of `designtwin.units.DIMENSIONS`.

    Raises
    ------
    ModelError
        If there is no such file or column, no unit is said, a row cannot be read (it is named by its
        line), or two rows give different values at one place.
    UnitError
        If a unit is unknown or of another dimension.
    """
    path = Path(path)
    if len(columns) not in (3, 4) or len(set(columns)) < len(columns):
        raise ModelError(f"columns names x, y, z and the value, or x, y and the value; got {list(columns)}")
    lines = _lines(path)
    number, head = lines[0]
    separator = max(",;\t", key=head.count)
    if separator not in head:
        lines = [(at, "\t".join(line.split())) for at, line in lines]
        head, separator = lines[0][1], "\t"
    units: dict[str, str] = {}
    if all(_number(cell, separator) is not None for cell in head.split(separator)):
        width = len(head.split(separator))
        if width < len(columns):
            raise ModelError(f"{path}, line {number}: {width} columns; {', '.join(columns)} are wanted")
        names = [*columns, *(f"column {i + 1}" for i in range(len(columns), width))]
    else:
        names, units = _names(re.sub(r"\(([^()]*)\)", r"[\1]", head), separator, f"{path}, line {number}")
        lines = lines[1:]
    for name in columns:
        if name not in names:
            raise ModelError(
                f"{path} has no column {name!r}{did_you_mean(name, names)}; line {number} names "
                f"{', '.join(map(repr, names))}: say columns=('x', 'y', 'z', 'T') in its words"
            )
    rows = _rows(lines, separator, names, path)
    numbers = [number for number, _ in lines]
    if not rows:
        raise ModelError(f"{path}: there are no rows below the names; a row per point is wanted")
    found = []
    for i, name in enumerate(columns):
        last = i == len(columns) - 1
        said = (unit if last else length_unit) or units.get(name)
        if said is None:
            example = "length_unit='mm'" if not last else f"unit={symbol(dimension)!r}"
            raise ModelError(
                f"{path}: the unit of column {name!r} is not said; say it, as {example}: nothing missing is "
                "guessed"
            )
        cells = [row[names.index(name)] for row in rows]
        values = _column(cells, numbers, separator, path, name)
        signal = Signal(name, values, values, said, str(path))
        found.append(signal.si(dimension if last else "length", name="read_points"))
    if len(columns) == 3:
        found.insert(2, np.zeros(len(rows)))
    points, values = np.stack(found[:3], axis=1), found[3]
    _same_place(points, values, numbers, dimension, path)
    points.setflags(write=False)
    values.setflags(write=False)
    return PointCloud(points, values, dimension, str(path))


def _same_place(
    points: FloatArray, values: FloatArray, numbers: Sequence[int], dimension: str, path: Path
) -> None:
    """Raise ModelError where one place has two values."""
    order = np.lexsort([values, *points.T])
    same = (points[order[1:]] == points[order[:-1]]).all(axis=1)
    differ = np.flatnonzero(same & (values[order[1:]] != values[order[:-1]]))
    if len(differ):
        a, b = sorted(int(i) for i in order[differ[0] : differ[0] + 2])
        raise ModelError(
            f"{path}, lines {numbers[a]} and {numbers[b]}: {show(values[a], dimension)} and "
            f"{show(values[b], dimension)} at one place, {show(points[a], 'length')}; keep one of the rows"
        )
