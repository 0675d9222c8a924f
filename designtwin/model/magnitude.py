"""How much: every amount in a model is one type, be it a constant, a table or a field.

A load of "2.5 kN", a modulus that falls with temperature, a film coefficient measured at forty
points: each is a `Magnitude`, SI inside, asked through `Magnitude.at`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Self, TypeAlias

import numpy as np

from designtwin.errors import DesignTwinError, ModelError, UnitError
from designtwin.plain import Plain
from designtwin.typing import FloatArray
from designtwin.units import DIMENSIONS, show, to_si, unit_of

Over: TypeAlias = Literal["temperature", "time"]
Outside: TypeAlias = Literal["raise", "hold"]
Interpolation: TypeAlias = Literal["linear", "nearest"]
Shape: TypeAlias = "tuple[()] | tuple[int]"


@dataclass(frozen=True)
class StatedTable:
    """A table as written, its units not yet read: what it is a table of is known where it is used."""

    over: Over
    at: Any
    values: Any
    outside: Outside


@dataclass(frozen=True)
class StatedField:
    """A field as written, its units not yet read; without points, one value per node of the mesh."""

    points: Any
    values: Any
    interpolation: Interpolation
    outside: Outside


MagnitudeLike: TypeAlias = (
    "float | str | Sequence[Any] | FloatArray | Magnitude | StatedTable | StatedField "
    "| Callable[[FloatArray], FloatArray]"
)
"""What a user may write where an amount is wanted."""


def table(*, over: Over, at: Any, values: Any, outside: Outside = "raise") -> StatedTable:
    """An amount that depends on temperature or time, linear between the rows.

    Parameters
    ----------
    over : "temperature" or "time"
        What it depends on.
    at : sequence
        Strictly increasing, such as ["20 degC", "200 degC"]; plain numbers are kelvin or seconds.
    values : sequence
        One per entry of `at`, with units: ["210 GPa", "190 GPa"].
    outside : "raise" or "hold"
        Beyond the ends: an error (nothing missing is guessed), or the end value.
    """
    return StatedTable(_one_of("over", over, ("temperature", "time")), at, values, _outside(outside))


def field(
    points: Any, values: Any, *, interpolation: Interpolation = "linear", outside: Outside = "raise"
) -> StatedField:
    """An amount given at points of space.

    Parameters
    ----------
    points : float64[k, 3] or [k, 2] or sequence with units
        Where it is known, m.
    values : sequence of k values, or of k vectors
        With units, or SI.
    interpolation : "linear" or "nearest"
        Linear between the points (on their Delaunay cells), or the value of the nearest.
    outside : "raise" or "hold"
        Outside the hull of the points: an error, or the value of the nearest.
    """
    _one_of("interpolation", interpolation, ("linear", "nearest"))
    return StatedField(points, values, interpolation, _outside(outside))


def nodal(values: Any) -> StatedField:
    """An amount given at every point of the mesh, in the order of its points: float64[n_points]."""
    return StatedField(None, values, "linear", "raise")


def _one_of(name: str, value: Any, options: tuple[str, ...]) -> Any:
    if value not in options:
        raise ModelError(f"{name} is {value!r}; it may be {' or '.join(map(repr, options))}")
    return value


def _outside(value: Any) -> Outside:
    return _one_of("outside", value, ("raise", "hold"))  # type: ignore[no-any-return]


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class Magnitude(Plain):
    """An amount in SI: constant, table over temperature or time, field in space, or function of x.

    Made by `Magnitude.of` from what the user wrote; asked by `at`.
    """

    dimension: str
    kind: Literal["constant", "table", "field", "nodal", "function"]
    values: FloatArray | None = None
    """constant: float64[*shape]; table, field and nodal: float64[k, *shape]."""
    over: Over | None = None
    knots: FloatArray | None = None
    """float64[k], K or s, for a table."""
    points: FloatArray | None = None
    """float64[k, 3], m, for a field."""
    interpolation: Interpolation = "linear"
    outside: Outside = "raise"
    function: Callable[[FloatArray], FloatArray] | None = None
    """x float64[n, 3] in m to float64[n, *shape] in SI."""
    shape: Shape = ()
    name: str = ""
    """The argument it was given for; it stands in messages and is no part of the content."""
    _lookup: Any = dataclasses.field(default=None, init=False)

    @classmethod
    def of(cls, value: MagnitudeLike, dimension: str, *, name: str, shape: Shape = ()) -> Magnitude:
        """Read what the user wrote.

        Parameters
        ----------
        value : number, str, sequence, table, field, nodal values, function or Magnitude
            Plain numbers are SI.
        dimension : str
            A key of `designtwin.units.DIMENSIONS`.
        name : str
            The argument's name, for messages.
        shape : () or (3,)
            A single number, or a vector of so many.

        Raises
        ------
        UnitError
            If a value has another dimension or is not finite.
        ModelError
            If the number of values is not what `shape`, the table or the points ask for.
        """
        if isinstance(value, Magnitude):
            return value._as(dimension, name, shape)
        if isinstance(value, StatedTable):
            return cls._of_table(value, dimension, name, shape)
        if isinstance(value, StatedField):
            return cls._of_field(value, dimension, name, shape)
        if callable(value):
            return cls(dimension=dimension, kind="function", function=value, shape=shape, name=name)
        values = np.asarray(to_si(value, dimension, name=name), dtype=np.float64)
        if values.shape != tuple(shape):
            wanted = f"{shape[0]} values" if shape else "one value"
            hint = "; values at points are written field(points, values) or nodal(values)"
            raise ModelError(f"{name} wants {wanted}, got {_count(values)}{hint if values.ndim else ''}")
        return cls(dimension=dimension, kind="constant", values=_frozen(values), shape=shape, name=name)

    @classmethod
    def _of_table(cls, stated: StatedTable, dimension: str, name: str, shape: Shape) -> Magnitude:
        knots = np.atleast_1d(np.asarray(to_si(stated.at, stated.over, name=f"{name} at"), dtype=np.float64))
        values = np.atleast_1d(np.asarray(to_si(stated.values, dimension, name=name), dtype=np.float64))
        if knots.ndim != 1 or knots.size < 2:
            raise ModelError(f"{name}: a table needs at least two rows; at has {_count(knots)}")
        if values.shape != (len(knots), *shape):
            raise ModelError(
                f"{name}: the table has {len(knots)} rows and values of shape {list(values.shape)}; "
                f"{[len(knots), *shape]} is wanted"
            )
        falls = np.flatnonzero(np.diff(knots) <= 0.0)
        if falls.size:
            row = int(falls[0])
            raise ModelError(
                f"{name}: at must increase; row {row + 2} ({show(knots[row + 1], stated.over)}) follows "
                f"{show(knots[row], stated.over)}"
            )
        return cls(
            dimension=dimension, kind="table", values=_frozen(values), over=stated.over, knots=_frozen(knots),
            outside=stated.outside, shape=shape, name=name,
        )  # fmt: skip

    @classmethod
    def _of_field(cls, stated: StatedField, dimension: str, name: str, shape: Shape) -> Magnitude:
        values = np.atleast_1d(np.asarray(to_si(stated.values, dimension, name=name), dtype=np.float64))
        if values.shape[1:] != tuple(shape) or len(values) == 0:
            raise ModelError(
                f"{name}: the field's values have shape {list(values.shape)}; {['k', *shape]} is wanted"
            )
        if stated.points is None:
            return cls(dimension=dimension, kind="nodal", values=_frozen(values), shape=shape, name=name)
        points = np.asarray(to_si(stated.points, "length", name=f"{name} points"), dtype=np.float64)
        if points.ndim != 2 or points.shape[1] not in (2, 3) or len(points) != len(values):
            raise ModelError(
                f"{name}: the field has {len(values)} values and points of shape {list(points.shape)}; "
                f"[{len(values)}, 3] is wanted"
            )
        if points.shape[1] == 2:
            points = np.column_stack([points, np.zeros(len(points))])
        return cls(
            dimension=dimension, kind="field", values=_frozen(values), points=_frozen(points),
            interpolation=stated.interpolation, outside=stated.outside, shape=shape, name=name,
        )  # fmt: skip

    def _as(self, dimension: str, name: str, shape: Shape) -> Magnitude:
        if unit_of(self.dimension) != unit_of(dimension):
            raise UnitError(f"{name}: a {self.dimension} is given; a {dimension} is wanted")
        if tuple(self.shape) != tuple(shape):
            raise ModelError(f"{name}: values of shape {list(self.shape)} are given; {list(shape)} is wanted")
        return dataclasses.replace(self, dimension=dimension, name=name)

    @property
    def is_constant(self) -> bool:
        """Whether it is one value everywhere and always."""
        return self.kind == "constant"

    @property
    def depends_on(self) -> str | None:
        """None, "temperature", "time" or "points"."""
        return None if self.is_constant else (self.over or "points")

    @property
    def value(self) -> float:
        """The value of a scalar constant, SI.

        Raises
        ------
        ModelError
            If it varies, or is a vector.
        """
        if not self.is_constant or self.values is None or self.shape != ():
            raise ModelError(f"{self._who} is {self}; a single constant is wanted here")
        return float(self.values)

    def __float__(self) -> float:
        return self.value

    @property
    def _who(self) -> str:
        return self.name or f"a {self.dimension}"

    def at(
        self,
        *,
        points: FloatArray | None = None,
        temperature: FloatArray | float | None = None,
        time: FloatArray | float | None = None,
    ) -> FloatArray:
        """The amount at points of space, at temperatures or at times.

        Parameters
        ----------
        points : float64[n, 3], optional
            m. Nodal values want all points of the mesh, in order.
        temperature, time : float or float64[n], optional
            K; s.

        Returns
        -------
        float64[n, *shape]
            SI, with the leading axes of what was given (`[*shape]` where nothing or a float was).

        Raises
        ------
        ModelError
            If what it depends on is not given, or lies outside the table or the field.
        """
        given = {
            "points": None if points is None else np.asarray(points, dtype=np.float64),
            "temperature": None if temperature is None else np.asarray(temperature, dtype=np.float64),
            "time": None if time is None else np.asarray(time, dtype=np.float64),
        }
        lead: tuple[int, ...] = ()
        for key, array in given.items():
            if array is not None:
                lead = np.broadcast_shapes(lead, array.shape[:-1] if key == "points" else array.shape)
        if self.depends_on is None:
            result = self.values
        else:
            where = given[self.depends_on]
            if where is None:
                raise ModelError(self._missing())
            result = {"table": self._from_table, "field": self._from_field, "nodal": self._from_nodes,
                      "function": self._from_function}[self.kind](where)  # fmt: skip
        return np.array(np.broadcast_to(np.asarray(result), (*lead, *self.shape)), dtype=np.float64)

    def _missing(self) -> str:
        if self.depends_on == "points":
            return f"{self._who} varies in space; it is asked for without a place"
        what = {"temperature": "a temperature: state Temperature(...) in the load case", "time": "a time"}
        return (
            f"{self._who} is tabulated over {self.over}; it is asked for without {what[self.over or 'time']}"
        )

    def _from_table(self, where: FloatArray) -> FloatArray:
        assert self.knots is not None
        assert self.values is not None
        assert self.over is not None
        low, high = self.knots[0], self.knots[-1]
        if self.outside == "raise" and where.size:
            slack = 1e-9 * max(abs(low), abs(high))  # a solver's last digit is no extrapolation
            if where.min() < low - slack or where.max() > high + slack:
                worst = where.min() if low - where.min() > where.max() - high else where.max()
                raise ModelError(
                    f"{self._who} is tabulated over {self.over} from {show(low, self.over)} to "
                    f"{show(high, self.over)}; {show(worst, self.over)} is outside: extend the table, "
                    "or say outside='hold' to keep the end value"
                )
        columns = self.values.reshape(len(self.knots), -1)
        out = np.stack([np.interp(where, self.knots, column) for column in columns.T], axis=-1)
        return out.reshape((*where.shape, *self.shape))

    def _from_nodes(self, where: FloatArray) -> FloatArray:
        assert self.values is not None
        if where.shape != (len(self.values), 3):
            raise ModelError(
                f"{self._who} has {len(self.values)} nodal values; the mesh has {where.shape[0]} points"
            )
        return self.values

    def _from_function(self, where: FloatArray) -> FloatArray:
        assert self.function is not None
        flat = where.reshape(-1, 3)
        out = np.asarray(self.function(flat), dtype=np.float64)
        if out.shape != (len(flat), *self.shape):
            raise ModelError(
                f"{self._who}: the function got x of shape {list(flat.shape)} and returned shape "
                f"{list(out.shape)}; {[len(flat), *self.shape]} is wanted"
            )
        if not np.all(np.isfinite(out)):
            bad = flat[np.flatnonzero(~np.isfinite(out.reshape(len(flat), -1)).all(axis=1))[0]]
            raise ModelError(f"{self._who}: the function is not finite at {show(bad, 'length')}")
        return out.reshape((*where.shape[:-1], *self.shape))

    def _from_field(self, where: FloatArray) -> FloatArray:
        assert self.points is not None
        assert self.values is not None
        if self._lookup is None:
            object.__setattr__(self, "_lookup", _Lookup(self.points, self.values, self.interpolation))
        flat = where.reshape(-1, 3)
        out, outside = self._lookup(flat)
        if self.outside == "raise" and outside.any():
            first = flat[np.flatnonzero(outside)[0]]
            raise ModelError(
                f"{self._who}: {int(outside.sum())} of {len(flat)} places, the first at "
                f"{show(first, 'length')}, lie outside the hull of the field's {len(self.points)} points; "
                "extend the field, or say outside='hold' to take the nearest value"
            )
        return np.asarray(out).reshape((*where.shape[:-1], *self.shape))

    def __str__(self) -> str:
        if self.kind == "constant":
            return show(self.values, self.dimension)
        if self.kind == "table":
            assert self.knots is not None
            assert self.over is not None
            ends = f"{show(self.knots[0], self.over)} to {show(self.knots[-1], self.over)}"
            return f"table of {len(self.knots)} rows over {self.over}, {ends}"
        if self.values is not None:
            spread = np.array([self.values.min(), self.values.max()])
            return f"{self.kind} values at {len(self.values)} points within {show(spread, self.dimension)}"
        return "function of position"

    def __repr__(self) -> str:
        return f"<Magnitude {self.dimension}: {self}>"

    def _plain_fields(self) -> dict[str, Any]:
        data: dict[str, Any] = {"dimension": self.dimension, "kind": self.kind}
        for key in ("over", "knots", "points", "values", "function"):
            entry = getattr(self, key)
            if isinstance(entry, np.ndarray) and entry.size <= 60:
                entry = entry.tolist()  # what a person wrote stays readable
            if entry is not None:
                data[key] = entry
        if self.kind == "field":
            data["interpolation"] = self.interpolation
        if self.kind in ("table", "field"):
            data["outside"] = self.outside
        return data

    @classmethod
    def _from_plain(cls, fields: dict[str, Any]) -> Self:
        known = {"dimension", "kind", "over", "knots", "points", "values", "interpolation", "outside"}
        if unknown := set(fields) - known:
            raise DesignTwinError(f"Magnitude has no field {sorted(unknown)}; it has {sorted(known)}")
        kind, dimension, values = fields["kind"], fields["dimension"], fields["values"]
        if dimension not in DIMENSIONS:
            raise DesignTwinError(f"Magnitude: dimension {dimension!r} is unknown")
        rows = np.asarray(values, dtype=np.float64)
        shape = rows.shape if kind == "constant" else rows.shape[1:]
        options = {key: fields[key] for key in ("interpolation", "outside") if key in fields}
        stated: Any
        if kind == "constant":
            stated = rows
        elif kind == "table":
            stated = table(over=fields["over"], at=fields["knots"], values=rows, **options)
        elif kind in ("field", "nodal"):
            stated = field(fields.get("points"), rows, **options)
        else:
            raise DesignTwinError(f"Magnitude: kind {kind!r} is unknown")
        return cls.of(stated, dimension, name=dimension, shape=shape)  # type: ignore[return-value]


class _Lookup:
    """Interpolation on scattered points, in as many dimensions as the points span."""

    def __init__(self, points: FloatArray, values: FloatArray, interpolation: Interpolation) -> None:
        from scipy.interpolate import LinearNDInterpolator
        from scipy.spatial import cKDTree

        self.values = values
        self.tree = cKDTree(points)
        self.size = float(np.ptp(points, axis=0).max())
        self.center = points.mean(axis=0)
        _, spread, axes = np.linalg.svd(points - self.center, full_matrices=False)
        rank = int(np.sum(spread > 1e-9 * max(spread[0], 1e-300)))
        self.axes = axes[:rank]
        self.linear: Callable[[FloatArray], FloatArray] | None = None
        flat = (points - self.center) @ self.axes.T
        self.nearest = interpolation == "nearest"
        if self.nearest:
            return
        if rank >= 2:
            self.linear = LinearNDInterpolator(flat, values)
        elif rank == 1:
            order = np.argsort(flat[:, 0])
            along, rows = flat[order, 0], values.reshape(len(values), -1)[order]

            def on_line(x: FloatArray) -> FloatArray:
                out = [np.interp(x[:, 0], along, row, left=np.nan, right=np.nan) for row in rows.T]
                return np.stack(out, axis=-1).reshape(len(x), *values.shape[1:])

            self.linear = on_line

    def __call__(self, x: FloatArray) -> tuple[FloatArray, np.ndarray[Any, np.dtype[np.bool_]]]:
        """Values float64[n, *shape] and whether each lies outside, bool[n]."""
        if self.nearest:
            return self.values[self.tree.query(x)[1]], np.zeros(len(x), dtype=bool)
        away = x - self.center
        flat = away @ self.axes.T
        off = np.linalg.norm(away - flat @ self.axes, axis=1) > 1e-6 * max(self.size, 1e-12)
        if self.linear is None:  # one point: known there and nowhere else
            return self.values[np.zeros(len(x), dtype=np.int64)], off
        out = np.asarray(self.linear(flat))
        missing = np.isnan(out.reshape(len(x), -1)).any(axis=1)
        if missing.any():  # on the hull itself rounding decides; a place this close to it is inside
            out[missing] = self.linear(flat[missing] * (1.0 - 1e-6))
            missing = np.isnan(out.reshape(len(x), -1)).any(axis=1)
        outside = missing | off
        if outside.any():
            out[outside] = self.values[self.tree.query(x[outside])[1]]
        return out, outside


def _frozen(array: FloatArray) -> FloatArray:
    array = np.array(array, dtype=np.float64)
    array.setflags(write=False)
    return array


def _count(array: FloatArray) -> str:
    return (
        "one" if array.ndim == 0 else str(array.shape[0]) if array.ndim == 1 else f"shape {list(array.shape)}"
    )
