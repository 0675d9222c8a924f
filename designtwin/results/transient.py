"""Temperatures over time: instants, histories, peaks, and the heat that was put in, exchanged and stored."""

from __future__ import annotations

import csv
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar, overload
from xml.sax.saxutils import quoteattr

import numpy as np

from designtwin import units
from designtwin.elements import ELEMENTS
from designtwin.errors import DesignTwinError, StoreError, did_you_mean
from designtwin.io.files import atomic
from designtwin.mesh.locate import locate
from designtwin.mesh.selections import Selection, select
from designtwin.model.model import LoadCase, Model
from designtwin.results.common import CaseResult, Field, Result, SolveInfo
from designtwin.results.frames import Frames
from designtwin.results.places import mean_weights, rows_of
from designtwin.results.recovery import Recovery
from designtwin.results.thermal import ThermalState, exchanges
from designtwin.typing import FloatArray, IntArray
from designtwin.units import show, show_time, to_si

if TYPE_CHECKING:
    pass

_KEPT = 4
"""Instants whose recovered fields are kept for the next question."""
_WIDENED = 1.5
"""See ``ThermalInstant.temperature_error``."""
_SLACK = 1e-9
"""Share of the duration by which a time may miss an instant and still mean it."""
OVER_PLACE = ("max", "min", "mean")
HEAT = {
    "applied": ("heat of fluxes and sources", "power"),
    "exchanged": ("heat of convection and radiation", "power"),
    "held": ("heat of prescribed temperatures", "power"),
    "heat_in": ("heat put in since the start", "energy"),
    "stored_energy": ("heat stored since the start", "energy"),
}
"""What of the heat is kept over time, in words and by dimension."""


@dataclass(frozen=True, eq=False)
class StepRecord:
    """How time was stepped through.

    Parameters
    ----------
    times : float64[s]
        End of each step taken, s.
    sizes : float64[s]
        Its length, s.
    errors : float64[s]
        Its estimated local error, K; nan where the step was given and nothing was estimated.
    rejected : int
        Steps that were too long and taken again.
    setups : int
        How often a matrix was factorized or a hierarchy built.
    """

    times: FloatArray
    sizes: FloatArray
    errors: FloatArray
    rejected: int = 0
    setups: int = 0

    def __len__(self) -> int:
        return len(self.times)

    def __str__(self) -> str:
        if not len(self):
            return "no steps"
        short, long = float(self.sizes.min()), float(self.sizes.max())
        sizes = (
            show_time(long)
            if short >= (1.0 - 1e-9) * long
            else f"{units.show(short, 'time', digits=3)} to {show_time(long)}"
        )
        again = f", {self.rejected} taken again" if self.rejected else ""
        return f"{len(self):,} steps of {sizes}{again}, {self.setups} set-ups"


@dataclass(frozen=True, eq=False)
class TimeHistory:
    """A number over time.

    Parameters
    ----------
    times : float64[k]
        s.
    values : float64[k]
        SI.
    label : str
        What it is, for legends: "largest temperature on 'die'".
    dimension : str
        A key of `designtwin.units`.
    case : str
        The load case.
    """

    times: FloatArray
    values: FloatArray
    label: str
    dimension: str
    case: str = ""

    def __len__(self) -> int:
        return len(self.times)

    def at(self, time: Any) -> float:
        """Its value at a time, by a cubic that keeps to the values around, SI.

        Raises
        ------
        DesignTwinError
            If the time lies outside.
        """
        t = time_within(time, self.times, self.label)
        some, weights = hermite(self.times, t)
        return float(weights(self.values[some]))

    def plot(self, **options: Any) -> Any:
        """Picture of the course; see `designtwin.viz.plot_times` for the options."""
        from designtwin import edge

        return edge.plot_times(self, **options)

    def to_csv(self, path: str | Path) -> Path:
        """Write time in s and value in the display unit, which the head of the column names."""
        unit = units.symbol(self.dimension)
        shown = units.from_si(self.values, self.dimension)
        with atomic(path, error=DesignTwinError) as stream:
            rows: list[list[str]] = [["time [s]", f"{self.label} [{unit}]" if unit else self.label]]
            rows += [[repr(float(t)), repr(float(v))] for t, v in zip(self.times, shown, strict=True)]
            stream.write("".join(_csv_line(row) for row in rows).encode("utf-8"))
        return Path(path)

    def __str__(self) -> str:
        i, j = int(np.argmin(self.values)), int(np.argmax(self.values))
        low, high = (units.show(float(self.values[k]), self.dimension) for k in (i, j))
        span = float(self.times[-1])
        return (
            f"{self.label}{f' in case {self.case!r}' if self.case else ''}: {low} at "
            f"{show_time(float(self.times[i]), span)}, {high} at {show_time(float(self.times[j]), span)}, "
            f"{len(self)} instants to {show_time(span)}"
        )


def _csv_line(cells: Sequence[str]) -> str:
    from io import StringIO

    out = StringIO()
    csv.writer(out, lineterminator="\n").writerow(cells)
    return out.getvalue()


@dataclass(frozen=True)
class Peak:
    """An extreme over a place and over time.

    Parameters
    ----------
    value : float
        SI.
    time : float
        s.
    node : int
        Mesh point.
    point : (x, y, z)
        m.
    dimension : str
    """

    value: float
    time: float
    node: int
    point: tuple[float, float, float]
    dimension: str = "temperature"

    def __str__(self) -> str:
        return (
            f"{show(self.value, self.dimension)} at {show_time(self.time)}, "
            f"{show(np.array(self.point), 'length')}"
        )


@dataclass(frozen=True, eq=False, repr=False, kw_only=True)
class ThermalInstant(ThermalState):
    """One instant of a transient answer; it answers what a steady case does.

    Parameters
    ----------
    name, model, recovery, case, info, residual, imbalance
        Of the course it is of.
    time : float
        s.
    temperature : float64[n_points]
        K.
    held : float64[n_points]
        Heat that prescribed temperatures put in, W.
    applied, exchanged : float
        Heat of fluxes and sources, and of convection and radiation, W.
    time_error : float
        Half-width of any temperature by steps in time and, between instants, by interpolation, K.
    """

    name: str
    model: Model
    recovery: Recovery
    case: LoadCase
    info: SolveInfo
    residual: float
    imbalance: float
    time: float
    temperature: FloatArray
    held: FloatArray
    applied: float
    exchanged: float
    time_error: float

    @cached_property
    def reactions(self) -> FloatArray:
        """Heat that prescribed temperatures, convection and radiation put in, float64[n_points], W."""
        total = self.held.copy()
        for load in self.case.heat_loads:
            if exchanges(load, self.model):
                total += self._put_in(load)
        return total

    @cached_property
    def temperature_error(self) -> float:
        """Half-width of the interval of any temperature, K: of the mesh and of the steps in time.

        Steps are judged by the mean over the part, and what a mesh missed earlier is not all forgotten; the
        sum is widened for both, by the smallest round factor that holds the truth on walls that are cooled,
        chilled and heated (``tests/verification/test_intervals_over_time.py``).
        """
        return _WIDENED * (self._space_error + self.time_error)

    def __repr__(self) -> str:
        return f"<ThermalInstant {self.name!r} at {show_time(self.time)} of {self.model!r}>"


Instant = TypeVar("Instant", bound=CaseResult)


class Instants(Sequence[Instant]):
    """All instants of a course, each made when it is asked for; the last few stay.

    Parameters
    ----------
    n : int
        How many there are.
    make : function of a number
        Makes one.
    """

    def __init__(self, n: int, make: Callable[[int], Instant]) -> None:
        self._n, self._make = n, make
        self._kept: OrderedDict[int, Instant] = OrderedDict()

    def __len__(self) -> int:
        return self._n

    @overload
    def __getitem__(self, i: int) -> Instant: ...
    @overload
    def __getitem__(self, i: slice) -> tuple[Instant, ...]: ...

    def __getitem__(self, i: int | slice) -> Instant | tuple[Instant, ...]:
        if isinstance(i, slice):
            return tuple(self[k] for k in range(self._n)[i])
        index = range(self._n)[i]
        kept = self._kept.pop(index, None) or self._make(index)
        self._kept[index] = kept
        while len(self._kept) > _KEPT:
            self._kept.popitem(last=False)
        return kept

    def __iter__(self) -> Iterator[Instant]:
        for i in range(self._n):
            yield self._kept.get(i) or self._make(i)  # a walk through all keeps none


class Course(CaseResult):
    """An answer over time: instants in order, and numbers over them."""

    _habitual: ClassVar[str] = "temperature"
    """The field that a history is of where none is named."""
    _totals: ClassVar[Mapping[str, tuple[str, str]]] = {}
    """Numbers of the whole part, in words and by dimension."""
    _written: ClassVar[tuple[str, ...]] = ("temperature",)
    """The fields that files get where none are named."""

    @property
    def times(self) -> FloatArray:
        """Instants kept, float64[k], s, ascending."""
        raise NotImplementedError

    def _total(self, name: str) -> FloatArray:
        """A number of the whole part over the instants, float64[k]."""
        raise NotImplementedError

    def history(
        self,
        on: str | Selection | Sequence[Any] | None = None,
        *,
        over: str = "max",
        name: str = "",
    ) -> TimeHistory:
        """A number over time: an extreme or the mean of a field over a place, its value at a point, or heat.

        Parameters
        ----------
        on : group name, selection, or point (x, y, z), optional
            The whole part unless given.
        over : str
            "max", "min" or "mean" (by area where the place is a face, by volume where it is cells); a point
            has none.
        name : str
            A field: "temperature" (the habitual one of heat), "heat_flux_magnitude"; "von_mises" (that of
            statics), "displacement" by its length, "stress_xx". Of heat in the whole part ``"applied"``,
            ``"exchanged"``, ``"held"`` (W), ``"heat_in"``, ``"stored_energy"`` (J).

        Raises
        ------
        DesignTwinError
            If there is no such field, place or ``over``.
        """
        name = name or self._habitual
        if name in self._totals:
            if on is not None:
                raise DesignTwinError(f"history of {name!r} is of the whole part; leave on= out")
            label, dimension = self._totals[name]
            return TimeHistory(self.times, self._total(name), label, dimension, self.name)
        field_names = self.frames[0].field_names
        if name not in field_names:
            known = (*field_names, *self._totals)
            hint = did_you_mean(name, known, n=2) or f"; there are: {', '.join(known)}"
            raise DesignTwinError(f"there is no {name!r} over time{hint}")
        if over not in OVER_PLACE:
            raise DesignTwinError(f"history over={over!r}: say one of {', '.join(OVER_PLACE)}")
        first = self.frames[0].field(name)
        if first.values.ndim > 1 and name + "_magnitude" in field_names:
            raise DesignTwinError(f"{name!r} is a vector; ask for the history of {name + '_magnitude'!r}")
        words = {"max": "largest ", "min": "smallest ", "mean": "mean "}[over] + first.title.lower()
        if _is_point(on):
            return self._at_point(on, name, first)
        rows, weights, place = self._place(on, first.location)
        values = np.empty(len(self.times))
        for i, shown in enumerate(self._each(name, rows)):
            if over == "mean":
                values[i] = weights @ shown
            else:
                values[i] = shown.max() if over == "max" else shown.min()
        return TimeHistory(self.times, values, f"{words}{place}", first.dimension, self.name)

    def peak(self, on: str | Selection | None = None, *, over: str = "max", name: str = "") -> Peak:
        """The largest (or, with ``over="min"``, smallest) value over a place and all instants."""
        if over not in ("max", "min"):
            raise DesignTwinError(f"peak over={over!r}: say 'max' or 'min'")
        history = self.history(on, over=over, name=name)
        i = int(np.argmax(history.values) if over == "max" else np.argmin(history.values))
        field = self.frames[i].field(name or self._habitual)
        rows, _, _ = self._place(on, field.location)
        pick = np.argmax if over == "max" else np.argmin
        row = int(rows[int(pick(_sizes(field.values)[rows]))])
        node = int(row if field.location == "points" else self.points.node[row])
        x, y, z = (float(c) for c in self.mesh.points[node])
        return Peak(float(history.values[i]), float(self.times[i]), node, (x, y, z), history.dimension)

    def _each(self, name: str, rows: IntArray | None) -> Iterator[FloatArray]:
        """Values of a field at rows, instant by instant."""
        for frame in self.frames:
            values = _sizes(frame.field(name).values)
            yield values if rows is None else values[rows]

    def _place(self, on: Any, location: str) -> tuple[IntArray, FloatArray, str]:
        """Rows of a place, weights of a mean over it, and the place in words."""
        selection = None if on is None else select(on)
        rows = rows_of(self.model, self.points, selection, location)
        nodes = rows if location == "points" else self.points.node[rows]
        words = "" if selection is None else f" on {selection}"
        return rows, mean_weights(self.model, selection, nodes), words

    def _at_point(self, at: Any, name: str, first: Field) -> TimeHistory:
        xyz = np.asarray(to_si(at, "length", name="on"), np.float64)
        place = locate(self.mesh, xyz[None])[0]
        weights = ELEMENTS[place.element].shape(place.xi)[0]
        rows = self._rows_of_cells[place.cell]
        if first.location == "points":
            rows = self.points.node[rows]
        values = np.array([float(weights @ shown) for shown in self._each(name, rows)])
        label = f"{first.title.lower()} at {show(xyz, 'length')}"
        return TimeHistory(self.times, values, label, first.dimension, self.name)

    def to_pvd(self, path: str | Path, fields: Sequence[str] | None = None) -> Path:
        """Write fields at all instants as VTU files and the index of them that ParaView opens.

        Parameters
        ----------
        path : path
            ``heat.pvd``; the files go into the folder ``heat`` beside it.
        fields : sequence of str, optional
            Names of ``field_names``; unless given, "temperature" of heat, "displacement" and "von_mises" of
            statics.

        Raises
        ------
        StoreError
            If a file cannot be written.
        """
        from designtwin.io.results import write_vtu

        path = Path(path)
        names = self._fields_to_write(fields)
        folder = path.with_suffix("") if path.suffix else path.with_name(path.name + "-instants")
        try:
            folder.mkdir(exist_ok=True)
        except OSError as error:
            raise StoreError(f"{folder}: cannot be made: {error.strerror or error}") from error
        part = self.points.part.astype(np.float64)
        digits, lines = max(4, len(str(len(self.times)))), []
        for i, (time, data) in enumerate(zip(self.times, self._data(names), strict=True)):
            file = folder / f"{folder.name}_{i:0{digits}d}.vtu"
            write_vtu(file, self.points.xyz, self.points.by_element, {"part": part, **data})
            name = quoteattr(f"{folder.name}/{file.name}")
            lines.append(f'<DataSet timestep="{float(time)!r}" group="" part="0" file={name}/>\n')
        with atomic(path, error=StoreError) as stream:
            stream.write(
                '<?xml version="1.0"?>\n<VTKFile type="Collection" version="0.1" '
                f'byte_order="LittleEndian">\n<Collection>\n{"".join(lines)}</Collection>\n</VTKFile>\n'.encode()
            )
        return path

    def to_vtkhdf(self, path: str | Path, fields: Sequence[str] | None = None) -> Path:
        """Write fields at all instants to one VTKHDF file that ParaView opens and steps through.

        Parameters
        ----------
        path : path
            ``heat.vtkhdf``.
        fields : sequence of str, optional
            As `to_pvd`.

        Raises
        ------
        StoreError
            If the file cannot be written.
        """
        from designtwin.io.vtkhdf import write_vtkhdf

        write_vtkhdf(
            path, self.points.xyz, self.points.by_element, self.times,
            self._data(self._fields_to_write(fields)), point_data={"part": self.points.part},
        )  # fmt: skip
        return Path(path)

    def _fields_to_write(self, fields: Sequence[str] | None) -> tuple[str, ...]:
        names = self._written if fields is None else (fields,) if isinstance(fields, str) else tuple(fields)
        known = self.frames[0].field_names
        for name in names:
            if name not in known:
                hint = did_you_mean(name, known, n=2) or f"; there are: {', '.join(known)}"
                raise DesignTwinError(f"there is no field {name!r}{hint}")
        return names

    def _data(self, names: Sequence[str]) -> Iterator[dict[str, FloatArray]]:
        """Fields at the rows of ``points``, instant by instant."""
        for frame in self.frames:
            yield {name: frame.on_result_points(frame.field(name)) for name in names}


@dataclass(frozen=True, eq=False, repr=False, kw_only=True)
class TransientCase(Course):
    """Answer of one load case over time.

    Fields by name, probes and pictures without a time are those of the last instant; ``at`` gives any other.

    Parameters
    ----------
    name : str
    model : Model
    recovery : Recovery
    case : LoadCase
    stored : Frames
        The instants: temperature and ``held``, and the numbers ``applied`` and ``exchanged``, W, ``heat_in``
        and ``stored_energy``, J since the start.
    info : SolveInfo
    residual : float
        Unbalanced heat over heat moved, largest over time.
    imbalance : float
        Heat put in less heat stored over heat moved, largest over time.
    time_error : float64[k]
        Half-width of any temperature by steps in time at each instant, K.
    steps : StepRecord
    plan : object, optional
        How time was cut, as the analysis was told; gradients go back the same steps.
    """

    name: str
    model: Model
    recovery: Recovery
    case: LoadCase
    stored: Frames
    info: SolveInfo
    residual: float
    imbalance: float
    time_error: FloatArray
    steps: StepRecord
    plan: Any = None

    _totals: ClassVar[Mapping[str, tuple[str, str]]] = HEAT

    def __post_init__(self) -> None:
        assert len(self.stored), "a transient answer has at least its start"
        assert len(self.time_error) == len(self.stored), (len(self.time_error), len(self.stored))
        self.stored.finish()

    # Instants

    @cached_property
    def times(self) -> FloatArray:
        """Instants kept, float64[k], s, ascending."""
        times = self.stored.times
        times.setflags(write=False)
        return times

    @cached_property
    def frames(self) -> Instants[ThermalInstant]:  # type: ignore[override]
        """All instants in order, read when asked for."""
        return Instants(len(self.stored), self._instant)

    def at(self, time: Any) -> ThermalInstant:
        """The state at a time, such as "10 min" or 600.0 (s).

        Between instants temperatures follow a cubic in time that never leaves the values around it.

        Raises
        ------
        DesignTwinError
            If the time lies outside the course.
        """
        t = time_within(time, self.times, f"case {self.name!r}")
        some, weights = hermite(self.times, t)
        if len(some) == 1:
            return self.frames[int(some[0])]
        values = np.array([self.stored.temperature(int(i)) for i in some])
        left = int(np.searchsorted(self.times, t)) - 1
        share = float((t - self.times[left]) / (self.times[left + 1] - self.times[left]))
        near = left - int(some[0])
        straight = (1.0 - share) * values[near] + share * values[near + 1]
        temperature = weights(values)
        # A cubic is closer than a straight line by an order: their distance bounds what is left.
        between = float(np.abs(temperature - straight)[self.mesh.used_nodes].max())

        def mixed(name: str) -> Any:
            a, b = self.stored.get(left, name), self.stored.get(left + 1, name)
            return (1.0 - share) * a + share * b

        return self._state(
            time=t,
            temperature=temperature,
            held=mixed("held"),
            applied=mixed("applied"),
            exchanged=mixed("exchanged"),
            time_error=float(self.time_error[left : left + 2].max()) + between,
        )

    def _instant(self, i: int) -> ThermalInstant:
        return self._state(
            time=float(self.times[i]),
            temperature=self.stored.temperature(i),
            held=self.stored.array(i, "held"),
            applied=float(self.stored.series("applied")[i]),
            exchanged=float(self.stored.series("exchanged")[i]),
            time_error=float(self.time_error[i]),
        )

    def _state(self, **values: Any) -> ThermalInstant:
        return ThermalInstant(
            name=self.name, model=self.model, recovery=self.recovery, case=self.case, info=self.info,
            residual=self.residual, imbalance=self.imbalance, **values,
        )  # fmt: skip

    # Over time

    @cached_property
    def balance(self) -> FloatArray:
        """Heat put in less heat stored since the start, float64[k], J."""
        return self.stored.series("heat_in") - self.stored.series("stored_energy")

    def _total(self, name: str) -> FloatArray:
        if name == "held":
            return np.array([self.stored.array(i, "held").sum() for i in range(len(self.stored))])
        return self.stored.series(name)

    def _each(self, name: str, rows: IntArray | None) -> Iterator[FloatArray]:
        if name != "temperature":
            yield from super()._each(name, rows)
            return
        for i in range(len(self.stored)):
            yield self.stored.array(i, "temperature", rows)

    # As a state: the last instant

    def field(self, name: str) -> Field:
        """A field at the last instant; ``at(time).field(name)`` at any other."""
        return self.frames[-1].field(name)

    @property
    def field_names(self) -> tuple[str, ...]:
        return self.frames[-1].field_names

    @cached_property
    def energy_error(self) -> float:
        """Estimated error of the flux over the flux, at the instant that is spread widest after the start."""
        used = self.mesh.used_nodes
        spread = [float(np.ptp(self.stored.array(i, "temperature", used))) for i in range(len(self.stored))]
        widest = int(np.argmax(spread[1:])) + 1 if len(spread) > 1 else 0
        if spread[widest] <= 1e-9 * float(np.abs(self.stored.array(widest, "temperature", used)).max()):
            return 0.0  # all is equally warm at all times: what flows is rounding
        return self.frames[widest].energy_error

    def __repr__(self) -> str:
        return (
            f"<TransientCase {self.name!r}: {len(self.times)} instants to "
            f"{show_time(float(self.times[-1]))} of {self.model!r}>"
        )


@dataclass(frozen=True, eq=False, repr=False)
class TransientResult(Result[TransientCase]):
    """Answers of a transient thermal analysis, case by case.

    Parameters
    ----------
    kept : mapping of case name to what gradients take up again, where the analysis was told to keep it
    """

    kept: Mapping[str, Any] = field(default_factory=dict, repr=False, metadata={"kept": False})

    physics: ClassVar[str] = "thermal"

    def __str__(self) -> str:
        lines = ["transient thermal result"]
        for name, case in self.by_case.items():
            hot, cold = case.peak(), case.peak(over="min")
            span = float(case.times[-1])
            heat = case.stored
            lines += [
                f"  {name}: {len(case.times)} instants to {show_time(span)}; {case.steps}",
                f"    heat        {show(heat.series('heat_in')[-1], 'energy')} put in, "
                f"{show(heat.series('stored_energy')[-1], 'energy')} stored; they balance to "
                f"{case.imbalance:.1e}, residual {case.residual:.1e}",
                f"    temperature {show(cold.value, 'temperature')} at {show_time(cold.time, span)} to "
                f"{show(hot.value, 'temperature')} at {show_time(hot.time, span)}",
            ]
        return "\n".join(lines)


def _sizes(values: FloatArray) -> FloatArray:
    """Numbers as they are, vectors by their length."""
    return values if values.ndim == 1 else np.asarray(np.linalg.norm(values, axis=1))


# Interpolation in time


def hermite(times: FloatArray, t: float) -> tuple[IntArray, Any]:
    """Which instants a value at time t needs, and the function of their values that gives it.

    The cubic has at the instants the slopes of Fritsch and Butland, so that it is monotone wherever the
    values are and leaves them nowhere.

    Returns
    -------
    some : int64[m]
        Instants, ascending; one where t is an instant.
    value : function of float64[m, ...] to float64[...]

    Source: Fritsch and Butland, SIAM J. Sci. Stat. Comput. 5 (1984) 300-304.
    """
    span = float(times[-1] - times[0])
    nearest = int(np.abs(times - t).argmin())
    if abs(float(times[nearest]) - t) <= _SLACK * span or len(times) == 1:
        return np.array([nearest]), lambda values: values[0]
    left = int(np.searchsorted(times, t)) - 1
    some = np.arange(max(left - 1, 0), min(left + 3, len(times)))
    at = times[some]
    near = left - int(some[0])
    h = np.diff(at)

    def value(values: FloatArray) -> Any:
        chord = np.diff(values, axis=0) / h.reshape((-1,) + (1,) * (np.ndim(values) - 1))
        a = _slope(h, chord, near)
        b = _slope(h, chord, near + 1)
        s, d = (t - float(at[near])) / h[near], h[near]
        rise = values[near + 1] - values[near]  # so that rounding adds nothing where nothing changes
        return (
            values[near]
            + s * s * (3.0 - 2.0 * s) * rise
            + s * (1.0 - s) ** 2 * d * a
            + s * s * (s - 1.0) * d * b
        )

    return some, value


def _slope(h: FloatArray, chord: FloatArray, i: int) -> Any:
    """Slope at instant i of some, from the chords between them."""
    if len(h) == 1:
        return chord[0]
    if 0 < i < len(h):
        before, after = chord[i - 1], chord[i]
        w, v = 2.0 * h[i] + h[i - 1], h[i] + 2.0 * h[i - 1]
        with np.errstate(divide="ignore", invalid="ignore"):
            mean = (w + v) / (w / before + v / after)
        return np.where(before * after > 0.0, mean, 0.0)
    # At an end: the parabola's slope, kept to the side and the size of the chord's.
    near, next_ = (0, 1) if i == 0 else (-1, -2)
    a, b = chord[near], chord[next_]
    slope = ((2.0 * h[near] + h[next_]) * a - h[near] * b) / (h[near] + h[next_])
    slope = np.where(slope * a > 0.0, slope, 0.0)
    return np.where((a * b <= 0.0) & (np.abs(slope) > np.abs(3.0 * a)), 3.0 * a, slope)


def time_within(time: Any, times: FloatArray, what: str) -> float:
    """A time as a user writes it, s, checked to lie within the instants of a course.

    Raises
    ------
    DesignTwinError
        If it lies outside.
    """
    t = to_si(time, "time", name="time")
    if not isinstance(t, float):
        raise DesignTwinError(f"{what}: one time is wanted, got {time!r}")
    first, last = float(times[0]), float(times[-1])
    slack = _SLACK * (last - first)
    if not first - slack <= t <= last + slack:
        raise DesignTwinError(
            f"{what} runs from {show_time(first, last)} to {show_time(last)}; {time!r} lies outside. Give a "
            "longer duration= to know more"
        )
    return min(max(t, first), last)


def _is_point(on: Any) -> bool:
    return (
        isinstance(on, list | tuple | np.ndarray)
        and len(on) == 3
        and not any(isinstance(one, Selection) for one in on)
        and any(_is_length(one) for one in on)
    )


def _is_length(one: Any) -> bool:
    if isinstance(one, str):
        return bool(one.strip()) and (one.strip()[0].isdigit() or one.strip()[0] in "+-.")
    return True
