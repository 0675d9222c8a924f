"""How much: every amount in a model is one type, be it a constant, a table, a field or a function.

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
from designtwin.io.logs import Signal
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
    times: Any = None
    """Instants, one per row of values: a history at the nodes."""


@dataclass(frozen=True)
class StatedFunction:
    """A function of time or temperature as written; what it returns is SI."""

    over: Over
    function: Callable[[FloatArray], FloatArray]
    breakpoints: Any = ()


MagnitudeLike: TypeAlias = (
    "float | str | Sequence[Any] | FloatArray | Magnitude | StatedTable | StatedField | StatedFunction "
    "| Signal | Callable[[FloatArray], FloatArray]"
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


def nodal(values: Any, times: Any = None, *, outside: Outside = "raise") -> StatedField:
    """An amount given at every point of the mesh, in the order of its points.

    Parameters
    ----------
    values : float64[n_points] or float64[k, n_points]
        With units, or SI; a row per instant where `times` are given.
    times : sequence of k times, optional
        Strictly increasing, such as ["0 s", "5 min"]; the amount is linear between them.
    outside : "raise" or "hold"
        Before the first and after the last instant: an error, or the value there.
    """
    return StatedField(None, values, "linear", _outside(outside), times)


def function(f: Callable[[FloatArray], FloatArray], *, over: Over, breakpoints: Any = ()) -> StatedFunction:
    """An amount that is a Python function of time or temperature.

    A model that holds one can be solved, but not saved, and has no content hash; a table has both.

    Parameters
    ----------
    f : callable
        float64[k] times (s) or temperatures (K) to float64[k] in SI.
    over : "time" or "temperature"
        What it takes.
    breakpoints : sequence of times, optional
        Where a function of time kinks or jumps: time steps end there.

    Raises
    ------
    ModelError
        If `f` is not callable, or a function of temperature is given breakpoints.
    """
    _one_of("over", over, ("time", "temperature"))
    if not callable(f):
        raise ModelError(f"function wants a callable of {over}, such as lambda t: 5.0 * t; got {f!r}")
    if over == "temperature" and np.size(breakpoints):
        raise ModelError(
            "breakpoints are times at which a function of time kinks; this one is of temperature"
        )
    return StatedFunction(over, f, breakpoints)


def _one_of(name: str, value: Any, options: tuple[str, ...]) -> Any:
    if value not in options:
        raise ModelError(f"{name} is {value!r}; it may be {' or '.join(map(repr, options))}")
    return value


def _outside(value: Any) -> Outside:
    return _one_of("outside", value, ("raise", "hold"))  # type: ignore[no-any-return]


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class Magnitude(Plain):
    """An amount in SI: constant, table over temperature or time, field in space, history, or function.

    Made by `Magnitude.of` from what the user wrote; asked by `at`.
    """

    dimension: str
    kind: Literal["constant", "table", "field", "nodal", "function"]
    values: FloatArray | None = None
    """constant: float64[*shape]; table, field and nodal: float64[k, *shape]; a nodal history:
    float64[k, n_points, *shape]."""
    over: Over | None = None
    knots: FloatArray | None = None
    """float64[k], K or s, for a table or a nodal history; of a function, where it kinks."""
    points: FloatArray | None = None
    """float64[k, 3], m, for a field."""
    interpolation: Interpolation = "linear"
    outside: Outside = "raise"
    function: Callable[[FloatArray], FloatArray] | None = None
    """x float64[n, 3] in m, or float64[n] of what it is over, to float64[n, *shape] in SI."""
    shape: Shape = ()
    name: str = ""
    """The argument it was given for; it stands in messages and is no part of the content."""
    _lookup: Any = dataclasses.field(default=None, init=False)

    @classmethod
    def of(cls, value: MagnitudeLike, dimension: str, *, name: str, shape: Shape = ()) -> Magnitude:
        """Read what the user wrote.

        Parameters
        ----------
        value : number, str, sequence, table, field, nodal values, function, sensor signal or Magnitude
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
        if isinstance(value, StatedFunction):
            return cls._of_function(value, dimension, name, shape)
        if isinstance(value, Signal):
            values = value.si(dimension, name=name)
            stated = StatedTable("time", value.times, values, "raise")
            return cls._of_table(stated, dimension, name, shape)
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
        _must_increase(knots, stated.over, f"{name}: at")
        return cls(
            dimension=dimension, kind="table", values=_frozen(values), over=stated.over, knots=_frozen(knots),
            outside=stated.outside, shape=shape, name=name,
        )  # fmt: skip

    @classmethod
    def _of_field(cls, stated: StatedField, dimension: str, name: str, shape: Shape) -> Magnitude:
        values = np.atleast_1d(np.asarray(to_si(stated.values, dimension, name=name), dtype=np.float64))
        if stated.times is not None:
            return cls._of_history(stated, values, dimension, name, shape)
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

    @classmethod
    def _of_history(
        cls, stated: StatedField, values: FloatArray, dimension: str, name: str, shape: Shape
    ) -> Magnitude:
        times = np.atleast_1d(np.asarray(to_si(stated.times, "time", name=f"{name} times"), dtype=np.float64))
        if times.ndim != 1 or times.size < 2:
            raise ModelError(
                f"{name}: a history needs at least two instants; times has {_count(times)}. For one instant "
                "write nodal(values)"
            )
        if values.ndim != 2 + len(shape) or values.shape[0] != len(times) or values.shape[2:] != tuple(shape):
            raise ModelError(
                f"{name}: the history has {len(times)} instants and values of shape {list(values.shape)}; "
                f"{[len(times), 'n_points', *shape]} is wanted"
            )
        _must_increase(times, "time", f"{name}: times")
        return cls(
            dimension=dimension, kind="nodal", values=_frozen(values), over="time", knots=_frozen(times),
            outside=stated.outside, shape=shape, name=name,
        )  # fmt: skip

    @classmethod
    def _of_function(cls, stated: StatedFunction, dimension: str, name: str, shape: Shape) -> Magnitude:
        kinks = np.atleast_1d(
            np.asarray(to_si(stated.breakpoints, "time", name=f"{name} breakpoints"), dtype=np.float64)
        )
        _must_increase(kinks, "time", f"{name}: breakpoints")
        return cls(
            dimension=dimension, kind="function", function=stated.function, over=stated.over,
            knots=_frozen(kinks) if kinks.size else None, shape=shape, name=name,
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
        """None, "temperature", "time" or "points"; a nodal history depends on "points", and is over time."""
        return None if self.is_constant else "points" if self.kind == "nodal" else (self.over or "points")

    @property
    def breakpoints(self) -> FloatArray:
        """Times at which it kinks or jumps, float64[k], s; none unless it varies in time."""
        if self.over != "time" or self.knots is None:
            return np.empty(0)
        return self.knots

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
        if self.kind == "nodal" and given["time"] is not None and given["time"].ndim:
            raise ModelError(f"{self._who} is given at nodes: ask it at one time, not at several")
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
            if self.kind == "nodal":
                result = self._from_nodes(where, given["time"])
            else:
                result = {"table": self._from_table, "field": self._from_field,
                          "function": self._from_function}[self.kind](where)  # fmt: skip
        return np.array(np.broadcast_to(np.asarray(result), (*lead, *self.shape)), dtype=np.float64)

    def _missing(self) -> str:
        if self.depends_on == "points":
            return f"{self._who} varies in space; it is asked for without a place"
        return f"{self._who} {self._is_over}; it is asked for without {_WITHOUT[self.over or 'time']}"

    @property
    def _is_over(self) -> str:
        how = {"table": "is tabulated", "nodal": "is a history at nodes"}.get(self.kind, "is a function")
        return f"{how} {'of' if self.kind == 'function' else 'over'} {self.over}"

    def frozen(self, time: float) -> Magnitude:
        """Itself at one instant: a constant or nodal values where it varies in time, else as it is.

        Parameters
        ----------
        time : float
            s.

        Raises
        ------
        ModelError
            If the time lies outside of what was stated.
        """
        if self.over != "time":
            return self
        if self.kind == "nodal":
            values, kind = self._at_instant(time), "nodal"
        else:
            values, kind = self.at(time=time), "constant"
        return Magnitude(
            dimension=self.dimension, kind=kind, values=_frozen(values), shape=self.shape,  # type: ignore[arg-type]
            name=self.name,
        )  # fmt: skip

    def slope(self, *, temperature: FloatArray | float) -> FloatArray:
        """Derivative over temperature.

        Parameters
        ----------
        temperature : float or float64[...]
            K.

        Returns
        -------
        float64[..., *shape]
            SI per kelvin. Of a table the slope of the piece, at a row that of the piece above; 0 beyond ends
            that hold. Of a function a central difference, good to about ten digits. 0 of what does not depend
            on temperature.
        """
        where = np.asarray(temperature, dtype=np.float64)
        if self.over != "temperature":
            return np.zeros((*where.shape, *self.shape))
        if self.kind == "function":
            # The step at which rounding and the third derivative weigh the same.
            step = np.finfo(float).eps ** (1.0 / 3.0) * np.maximum(np.abs(where), 1.0)
            above, below = where + step, where - step
            rise = self._from_function(above) - self._from_function(below)
            return np.asarray(rise / (above - below).reshape(*where.shape, *(1 for _ in self.shape)))
        assert self.knots is not None
        assert self.values is not None
        self._check_inside(where)
        n = len(self.knots)
        piece = np.clip(np.searchsorted(self.knots, where, side="right") - 1, 0, n - 2)
        width = np.diff(self.knots).reshape(-1, *(1 for _ in self.shape))
        slope = (np.diff(self.values, axis=0) / width)[piece]
        if self.outside == "hold":
            slope[(where < self.knots[0]) | (where >= self.knots[-1])] = 0.0
        return np.asarray(slope)

    def _check_inside(self, where: FloatArray) -> None:
        """Raise ModelError beyond the ends of what was stated, unless these hold."""
        assert self.knots is not None
        assert self.over is not None
        low, high = self.knots[0], self.knots[-1]
        if self.outside == "raise" and where.size:
            slack = 1e-9 * max(abs(low), abs(high))  # a solver's last digit is no extrapolation
            if where.min() < low - slack or where.max() > high + slack:
                worst = where.min() if low - where.min() > where.max() - high else where.max()
                raise ModelError(
                    f"{self._who} {self._is_over} from {show(low, self.over)} to "
                    f"{show(high, self.over)}; {show(worst, self.over)} is outside: extend the "
                    f"{self.kind if self.kind == 'table' else 'history'}, or say outside='hold' to keep the "
                    "end value"
                )

    def _from_table(self, where: FloatArray) -> FloatArray:
        assert self.knots is not None
        assert self.values is not None
        self._check_inside(where)
        columns = self.values.reshape(len(self.knots), -1)
        out = np.stack([np.interp(where, self.knots, column) for column in columns.T], axis=-1)
        return out.reshape((*where.shape, *self.shape))

    def _from_nodes(self, where: FloatArray, time: FloatArray | None) -> FloatArray:
        assert self.values is not None
        n = self.values.shape[1] if self.over == "time" else len(self.values)
        if where.shape != (n, 3):
            raise ModelError(f"{self._who} has {n} nodal values; the mesh has {where.shape[0]} points")
        if self.over != "time":
            return self.values
        if time is None:
            raise ModelError(self._missing_time())
        return self._at_instant(float(time))

    def _missing_time(self) -> str:
        return f"{self._who} {self._is_over}; it is asked for without {_WITHOUT['time']}"

    def _at_instant(self, time: float) -> FloatArray:
        """A nodal history at one time, float64[n_points, *shape]."""
        assert self.values is not None
        assert self.knots is not None
        self._check_inside(np.asarray(time))
        t = min(max(time, float(self.knots[0])), float(self.knots[-1]))
        i = int(np.clip(np.searchsorted(self.knots, t, side="right") - 1, 0, len(self.knots) - 2))
        share = (t - self.knots[i]) / (self.knots[i + 1] - self.knots[i])
        return np.asarray((1.0 - share) * self.values[i] + share * self.values[i + 1])

    def _from_function(self, where: FloatArray) -> FloatArray:
        assert self.function is not None
        word: str = self.over or "x"
        lead: tuple[int, ...] = where.shape if self.over else where.shape[:-1]
        flat: FloatArray = where.reshape(-1) if self.over else where.reshape(-1, 3)
        out = np.asarray(self.function(flat), dtype=np.float64)
        if self.over is not None and out.shape == self.shape:  # the same at all times, as lambda t: 5.0
            out = np.broadcast_to(out, (len(flat), *self.shape))
        if out.shape != (len(flat), *self.shape):
            raise ModelError(
                f"{self._who}: the function got {word} of shape {list(flat.shape)} and returned shape "
                f"{list(out.shape)}; {[len(flat), *self.shape]} is wanted"
            )
        if not np.all(np.isfinite(out)):
            bad = flat[np.flatnonzero(~np.isfinite(out.reshape(len(flat), -1)).all(axis=1))[0]]
            raise ModelError(f"{self._who}: the function is not finite at {show(bad, self.over or 'length')}")
        return out.reshape((*lead, *self.shape))

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
            spread = show(np.array([self.values.min(), self.values.max()]), self.dimension)
            if self.knots is not None:
                n = self.values.shape[1]
                ends = f"{show(self.knots[0], 'time')} to {show(self.knots[-1], 'time')}"
                return f"nodal values at {n} points and {len(self.knots)} instants, {ends}, within {spread}"
            return f"{self.kind} values at {len(self.values)} points within {spread}"
        return f"function of {self.over or 'position'}"

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
        if self.kind in ("table", "field") or (self.kind == "nodal" and self.over):
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
        history = kind == "nodal" and fields.get("knots") is not None
        shape = rows.shape if kind == "constant" else rows.shape[2 if history else 1 :]
        options = {key: fields[key] for key in ("interpolation", "outside") if key in fields}
        stated: Any
        if kind == "constant":
            stated = rows
        elif kind == "table":
            stated = table(over=fields["over"], at=fields["knots"], values=rows, **options)
        elif history:
            stated = nodal(rows, fields["knots"], **options)
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


_WITHOUT = {
    "temperature": "a temperature: state Temperature(...) in the load case",
    "time": "a time: what varies in time belongs to a transient test, ThermalTest(..., duration='20 min')",
}


def _must_increase(knots: FloatArray, dimension: str, what: str) -> None:
    """Raise ModelError naming the first row that does not come after the one before."""
    falls = np.flatnonzero(np.diff(knots) <= 0.0)
    if falls.size:
        row = int(falls[0])
        raise ModelError(
            f"{what} must increase; row {row + 2} ({show(knots[row + 1], dimension)}) follows "
            f"{show(knots[row], dimension)}"
        )


def _frozen(array: FloatArray) -> FloatArray:
    array = np.array(array, dtype=np.float64)
    array.setflags(write=False)
    return array


def _count(array: FloatArray) -> str:
    return (
        "one" if array.ndim == 0 else str(array.shape[0]) if array.ndim == 1 else f"shape {list(array.shape)}"
    )
