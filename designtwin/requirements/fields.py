"""An extreme or the mean of a field over a place: displacement, temperature, stress."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar, NoReturn

import numpy as np

from designtwin import units
from designtwin.elements import ELEMENTS
from designtwin.errors import RequirementError
from designtwin.mesh.locate import locate
from designtwin.mesh.selections import Selection, select
from designtwin.requirements.base import (
    Quantity,
    ValuesAlone,
    frames_of,
    instant_of,
    one_of,
    over_word,
    state_at,
)
from designtwin.requirements.values import Value, place_of_node, place_of_point
from designtwin.results.places import mean_weights, rows_of
from designtwin.typing import FloatArray, IntArray

if TYPE_CHECKING:
    from designtwin.model.model import Model

OVER = ("max_abs", "max", "min", "mean")


@dataclass(frozen=True, kw_only=True, eq=False)
class Band:
    """A field with its interval, on the rows a quantity looks at.

    Parameters
    ----------
    rows : int64[k]
        Mesh points, or rows of `ResultPoints`, as `location` says.
    values, low, high : float64[k]
        SI; nan in the interval where no error could be estimated.
    location : str
        "points" or "result_points".
    """

    rows: IntArray
    values: FloatArray
    low: FloatArray
    high: FloatArray
    location: str


@dataclass(frozen=True, kw_only=True)
class FieldQuantity(Quantity):
    """An extreme or the mean of a field over a place.

    Subclasses give `_field`: values and interval on all rows of a case.
    """

    zoned: ClassVar[bool] = True
    on: Selection | None = None
    case: str | None = None
    excluding: Selection | None = None
    over: str = "max"

    def __post_init__(self) -> None:
        for name in ("on", "excluding"):
            given = getattr(self, name)
            object.__setattr__(self, name, None if given is None else select(given))
        if self.case is not None and not isinstance(self.case, str):
            raise RequirementError(f"case={self.case!r} is no name of a load case; None means all of them")
        one_of(self.over, OVER, "over")

    @property
    def largest_governs(self) -> bool:
        return self.over != "min"

    def _field(self, case: Any, rows: IntArray) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Values, lower and upper ends at these rows."""
        raise NotImplementedError

    @property
    def location(self) -> str:
        """Where the field lives: "points" or "result_points"."""
        return "result_points"

    def band(self, result: Any, case: Any) -> Band:
        """The field in one case on the rows of the place."""
        rows = self.rows(result)
        values, low, high = self._field(case, rows)
        return Band(rows=rows, values=values, low=low, high=high, location=self.location)

    def rough_band(self, result: Any, case: Any) -> Band:
        """A band that may be rough where the true one costs much: for where to refine, and no verdict."""
        return self.band(result, case)

    def rows(self, result: Any) -> IntArray:
        """The rows of the place, what is excluded left out.

        Raises
        ------
        RequirementError
            If nothing is left.
        """
        rows = rows_of(result.model, result.points, self.on, self.location, excluding=self.excluding)
        if not len(rows):
            self._nothing_left()
        return rows

    def _nothing_left(self) -> NoReturn:
        place = "the whole part" if self.on is None else str(self.on)
        raise RequirementError(
            f"{self.label}: nothing is left of {place} once {self.excluded} is excluded; exclude less"
        )

    def check(self, model: Model) -> None:
        super().check(model)
        nodes = model.mesh.used_nodes if self.on is None else model.region(self.on).nodes
        if self.excluding is None:
            return
        excluded = model.region(self.excluding)
        # with cells on both sides of a border only the result can tell
        if (self.on is None or not len(excluded.cells)) and np.isin(nodes, excluded.nodes).all():
            self._nothing_left()

    def by_case(self, result: Any) -> list[Value]:
        return [self._over_time(result, case, self.largest_governs) for case in self.cases_of(result)]

    def states_of(self, case: Any) -> Sequence[Any]:
        """The states of a case that count: its instants, or itself."""
        return frames_of(case)

    def _of_state(self, result: Any, state: Any) -> Value:
        return self._reduce(result, state)

    def _number(self, result: Any, state: Any) -> float:
        band = self.band(result, ValuesAlone(state))
        if self.over == "mean":
            nodes = band.rows if band.location == "points" else result.points.node[band.rows]
            return float(mean_weights(result.model, self.on, nodes) @ band.values)
        if self.over == "max_abs":
            return float(np.abs(band.values).max())
        return float(band.values.min() if self.over == "min" else band.values.max())

    def _reduce(self, result: Any, case: Any) -> Value:
        band = self.band(result, case)
        mesh = result.model.mesh
        if self.over == "mean":
            nodes = band.rows if band.location == "points" else result.points.node[band.rows]
            weight = mean_weights(result.model, self.on, nodes)
            mean = float(weight @ band.values)
            # the mean half-width; weights of corners may be negative in quadratic cells
            size = np.abs(weight)
            half = float(size @ (band.high - band.low)) / float(2.0 * size.sum())
            middle = float(weight @ (band.low + band.high)) / 2.0
            return Value.between(
                mean, middle - half, middle + half, case=case.name, note="mean over the place"
            )
        values, low, high, note = band.values, band.low, band.high, ""
        if self.over == "max_abs":
            signed = values
            values, low, high = magnitude(values, low, high)
        if self.over == "min":
            row = int(np.argmin(values))
            interval = float(np.min(low)), float(np.min(high))
        else:
            row = int(np.argmax(values))
            interval = float(np.max(low)), float(np.max(high))
        if self.over == "max_abs" and signed[row] < 0.0:
            note = f"magnitude; it is {units.show(float(signed[row]), self.dimension)} there"
        node = int(band.rows[row] if band.location == "points" else result.points.node[band.rows[row]])
        return Value.between(
            float(values[row]),
            *interval,
            place=place_of_node(mesh, node, prefer=getattr(self.on, "name", "")),
            case=case.name,
            note=note or self._note(case, int(band.rows[row])),
            frequency=self._peak(case, int(band.rows[row])),
        )

    def _peak(self, case: Any, row: int) -> float | None:
        """The frequency, Hz, at which the field is worst at a row, where the case is swept over frequency."""
        return None

    def _note(self, case: Any, row: int) -> str:
        """What a reader should know of the value at a row."""
        return ""

    def _place_words(self, preposition: str = "on") -> str:
        words = "" if self.on is None else f" {preposition} {self.on}"
        return words + ("" if self.case is None else f" in case '{self.case}'")


@dataclass(frozen=True, kw_only=True)
class MechanicalQuantity(FieldQuantity):
    """A field of a part that is loaded or that vibrates.

    Of vibration it looks at the responses: at the largest amplitude of a sweep, the peak of a shock, every
    instant of a course in time, and at `sigma` times the root mean square of a random response.
    """

    needs: ClassVar[str] = "static"
    sigma: float | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.sigma is None:
            return
        number = units.to_si(self.sigma, "dimensionless", name="sigma")
        if not isinstance(number, float) or not 0.0 < number < np.inf:
            raise RequirementError(f"sigma={self.sigma!r}: how many standard deviations, such as sigma=3")
        object.__setattr__(self, "sigma", number)

    @property
    def read_from(self) -> tuple[str, ...]:
        return ("static", "vibration") if self.sigma is None else ("vibration",)

    def cases_of(self, result: Any) -> list[Any]:
        cases = super().cases_of(result)
        if result.physics != "vibration":
            return cases
        known = getattr(result, "responses", {})  # a modal analysis has none
        responses = [case for case in cases if case.name in known]
        if not responses:
            raise RequirementError(
                f"{self.label}: modes have no size of their own; say what excites the part, as "
                "VibrationTest(..., cases={'sine': dtw.base_harmonic('z', '1 g', ...)})"
            )
        self.check_sigma({case.name: is_random(case) for case in responses})
        return responses

    def check_sigma(self, random: Mapping[str, bool]) -> None:
        """Raise unless sigma is said where a case it looks at is random, and only there.

        Parameters
        ----------
        random : mapping of case name to bool
        """
        asked = {name: one for name, one in random.items() if self.case in (None, name)}
        if self.sigma is None and any(asked.values()):
            names = ", ".join(repr(name) for name, one in asked.items() if one)
            raise RequirementError(
                f"{self.label}: the response in case {names} is random and has no largest value; say how "
                "many standard deviations count, as sigma=3"
            )
        if self.sigma is not None and asked and not any(asked.values()):
            raise RequirementError(
                f"{self.label}: sigma={self.sigma:g} is of random responses, and there is none in "
                f"{', '.join(map(repr, asked))}; leave it out"
            )

    def read(self, case: Any, name: str, rows: IntArray) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Values and interval of a scalar field at rows, with sigma where the case is random."""
        values, low, high = read_field(self.at_sigma(case), name, rows)
        return values, np.maximum(low, 0.0) if is_random(case) else low, high

    def at_sigma(self, case: Any) -> Any:
        """The case with its fields times sigma where it is random; itself otherwise."""
        return case if self.sigma is None or not is_random(case) else AtSigma(case, self.sigma)

    @property
    def reads(self) -> str:
        """The field that is read."""
        raise NotImplementedError

    def _peak(self, case: Any, row: int) -> float | None:
        peak_of = getattr(case, "peak_frequency", None)
        return None if peak_of is None else float(peak_of(self.reads)[row])

    @property
    def _sigma_words(self) -> str:
        return "" if self.sigma is None else f", {self.sigma:g}σ"


@dataclass(frozen=True, kw_only=True)
class TensorQuantity(MechanicalQuantity):
    """A field made of the whole stress tensor at one instant: static cases, and courses in time."""

    @property
    def reads(self) -> str:
        return "stress"

    def cases_of(self, result: Any) -> list[Any]:
        cases = super().cases_of(result)
        if result.physics == "vibration":
            refuse_amplitudes(
                self.label, [case.name for case in cases if getattr(case, "times", None) is None]
            )
        return cases

    def check_sigma(self, random: Mapping[str, bool]) -> None:
        names = [name for name, one in random.items() if one and self.case in (None, name)]
        refuse_amplitudes(self.label, names)


def refuse_amplitudes(what: str, names: Sequence[str]) -> None:
    """Raise RequirementError where cases have amplitudes in place of a stress tensor at an instant."""
    if names:
        raise RequirementError(
            f"{what} needs the whole stress tensor at an instant; the response in "
            f"{', '.join(map(repr, names))} has amplitudes alone: ask for stress or yield_margin there, "
            "and name cases that have a course in time, or static ones, by case=..."
        )


def tensor_at(case: Any, rows: IntArray) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Stress at result points, and where the exact one is expected: about a center, within a radius.

    Returns
    -------
    stress, center : float64[k, 6]
        Pa.
    radius : float64[k]
        Pa, of the Frobenius norm; nan where only values are asked for.
    """
    stress = np.asarray(case.stress("points"), np.float64)[rows]
    expected = case.expected_stress()
    if expected is None:
        return stress, stress, np.full(len(rows), np.nan)
    center, radius = expected
    return stress, center[rows], radius[rows]


def is_random(case: Any) -> bool:
    """Whether the fields of a case are root mean squares."""
    return bool(getattr(case, "statistical", False))


class AtSigma:
    """A random response whose fields are so many standard deviations."""

    def __init__(self, case: Any, sigma: float) -> None:
        self._case, self._sigma = case, sigma

    def __getattr__(self, name: str) -> Any:
        return getattr(self._case, name)

    def field(self, name: str) -> Any:
        return self._case.field(name, sigma=self._sigma)


def magnitude(
    values: FloatArray, low: FloatArray, high: FloatArray
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Absolute values with their intervals; an interval that holds 0 has 0 as its lower end."""
    return np.abs(values), np.maximum(np.maximum(low, -high), 0.0), np.maximum(np.abs(low), np.abs(high))


def read_field(case: Any, name: str, rows: IntArray) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Values and interval of a named scalar field at rows; nan where the result has no estimate."""
    field = case.field(name)
    values = np.asarray(field.values, np.float64)[rows]
    if field.interval is None:
        nothing = np.full(len(rows), np.nan)
        return values, nothing, nothing
    low, high = field.interval
    return values, low[rows], high[rows]


@dataclass(frozen=True, kw_only=True)
class DisplacementQuantity(MechanicalQuantity):
    """Displacement over a place; see `displacement`."""

    dimension: ClassVar[str] = "length"
    zoned: ClassVar[bool] = False  # no region of a part is guilty of how far it moves
    vector: ClassVar[str] = "displacement"
    letter: ClassVar[str] = "u"
    component: str = "magnitude"
    over: str = "max_abs"

    def __post_init__(self) -> None:
        super().__post_init__()
        one_of(self.component, ("x", "y", "z", "magnitude"), "component")

    @property
    def location(self) -> str:
        return "points"

    @property
    def label(self) -> str:
        what = self.vector if self.component == "magnitude" else f"{self.vector} {self.component}"
        return f"{over_word(self.over, 'max_abs')}{what}{self._place_words('of')}{self._sigma_words}"

    @property
    def reads(self) -> str:
        return self.vector if self.component == "magnitude" else f"{self.letter}{self.component}"

    def _field(self, case: Any, rows: IntArray) -> tuple[FloatArray, FloatArray, FloatArray]:
        if self.component != "magnitude":
            return self.read(case, self.reads, rows)
        field = self.at_sigma(case).field(self.vector)
        values = np.asarray(field.values, np.float64)[rows]
        values = np.linalg.norm(values, axis=1) if values.ndim == 2 else np.abs(values)
        if field.error is None:
            nothing = np.full(len(rows), np.nan)
            return values, nothing, nothing
        error = np.asarray(field.error, np.float64)[rows]
        error = np.linalg.norm(error, axis=1) if error.ndim == 2 else np.abs(error)
        return values, np.maximum(values - error, 0.0), values + error


@dataclass(frozen=True, kw_only=True)
class TemperatureQuantity(FieldQuantity):
    """Temperature over a place; see `temperature`."""

    needs: ClassVar[str] = "thermal"
    dimension: ClassVar[str] = "temperature"
    time: float | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        one_of(self.over, ("max", "min", "mean"), "over")
        object.__setattr__(self, "time", instant_of(self.time, type(self).__name__))

    def _over_time(self, result: Any, case: Any, largest: bool) -> Value:
        if self.time is None:
            return super()._over_time(result, case, largest)
        (state,) = self.states_of(case)
        return replace(self._reduce(result, state), case=case.name, instant=self.time)

    def states_of(self, case: Any) -> Sequence[Any]:
        if self.time is None:
            return super().states_of(case)
        return (state_at(case, self.time, self.label),)

    @property
    def location(self) -> str:
        return "points"

    @property
    def label(self) -> str:
        when = "" if self.time is None else f" at {units.show_time(self.time)}"
        return f"{over_word(self.over, 'max')}temperature{self._place_words('of')}{when}"

    def _field(self, case: Any, rows: IntArray) -> tuple[FloatArray, FloatArray, FloatArray]:
        return read_field(case, "temperature", rows)


STRESSES = {
    "von_mises": "von Mises stress",
    "tresca": "Tresca stress",
    "max_principal": "largest principal stress",
    "principal_1": "principal stress 1",
    "principal_2": "principal stress 2",
    "principal_3": "principal stress 3",
    **{c: f"stress {c}" for c in ("xx", "yy", "zz", "xy", "yz", "xz")},
}
_STRESS_FIELD = {
    "max_principal": "principal_1",
    **{c: f"stress_{c}" for c in ("xx", "yy", "zz", "xy", "yz", "xz")},
}


@dataclass(frozen=True, kw_only=True)
class StressQuantity(MechanicalQuantity):
    """Stress over a place or at a point; see `stress`."""

    dimension: ClassVar[str] = "stress"
    component: str = "von_mises"
    at: tuple[float, float, float] | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        one_of(self.component, tuple(STRESSES), "component")
        if self.at is None:
            return
        if self.on is not None or self.excluding is not None:
            raise RequirementError("stress(at=point) takes neither on= nor excluding=: it looks at one point")
        point = np.asarray(units.to_si(self.at, "length", name="at"))
        if point.shape not in ((2,), (3,)):
            raise RequirementError(
                f"at={self.at!r} is no point; give (x, y, z), such as ('10 mm', '0 mm', '5 mm')"
            )
        x, y, z = (float(c) for c in np.resize(np.append(point, 0.0), 3))
        object.__setattr__(self, "at", (x, y, z))

    @property
    def label(self) -> str:
        what = STRESSES[self.component]
        if self.at is not None:
            case = "" if self.case is None else f" in case '{self.case}'"
            return f"{what} at {units.show(np.array(self.at), 'length')}{case}{self._sigma_words}"
        return f"{over_word(self.over, 'max')}{what}{self._place_words()}{self._sigma_words}"

    @property
    def reads(self) -> str:
        return _STRESS_FIELD.get(self.component, self.component)

    def _field(self, case: Any, rows: IntArray) -> tuple[FloatArray, FloatArray, FloatArray]:
        return self.read(case, self.reads, rows)

    def _number(self, result: Any, state: Any) -> float:
        if self.at is None:
            return super()._number(result, state)
        return self._reduce(result, ValuesAlone(state)).value

    def _reduce(self, result: Any, case: Any) -> Value:
        if self.at is None:
            return super()._reduce(result, case)
        return _probe(result, self.at_sigma(case), self.reads, self.at)


def _probe(result: Any, case: Any, name: str, at: tuple[float, float, float]) -> Value:
    """A field at a point, interpolated in its cell; the interval is interpolated likewise."""
    mesh, points = result.model.mesh, result.points
    place = locate(mesh, np.array([at]))[0]
    weights = ELEMENTS[place.element].shape(place.xi)[0]
    rows = next(rows[ids == place.cell][0] for _, ids, rows in points.cells if (ids == place.cell).any())
    values, low, high = read_field(case, name, rows)
    value, middle = float(weights @ values), float(weights @ (low + high)) / 2.0
    half = float(np.abs(weights) @ (high - low)) / 2.0  # weights may be negative in quadratic cells
    least = max(middle - half, 0.0) if is_random(case) else middle - half
    return Value.between(value, least, middle + half, place=place_of_point(mesh, at), case=case.name)


def displacement(
    on: str | Selection | None = None,
    component: str = "magnitude",
    *,
    over: str = "max_abs",
    case: str | None = None,
    excluding: str | Selection | None = None,
    sigma: float | None = None,
) -> DisplacementQuantity:
    """Displacement over a place, m; of vibration its amplitude, relative to supports that move.

    Parameters
    ----------
    on : group name or selection, optional
        The place; the whole part unless given.
    component : str
        "x", "y", "z" or "magnitude".
    over : str
        "max_abs", the largest magnitude (a positive number); "max" and "min" keep signs; "mean" is by area or
        volume.
    case : str, optional
        One load case; the envelope of all unless given.
    excluding : group name or selection, optional
        Left out of the place.
    sigma : float, optional
        In a random response, how many standard deviations count, such as 3.
    """
    return DisplacementQuantity(
        on=on,  # type: ignore[arg-type]
        component=component,
        over=over,
        case=case,
        excluding=excluding,  # type: ignore[arg-type]
        sigma=sigma,
    )


def temperature(
    on: str | Selection | None = None,
    *,
    over: str = "max",
    case: str | None = None,
    excluding: str | Selection | None = None,
    time: Any = None,
) -> TemperatureQuantity:
    """Temperature over a place, K; in a test over time at every instant, the worst of which is named.

    Parameters
    ----------
    on, case, excluding
        As `displacement`.
    over : str
        "max", "min" or "mean".
    time : time, optional
        At this instant alone, such as "10 min".
    """
    return TemperatureQuantity(on=on, over=over, case=case, excluding=excluding, time=time)  # type: ignore[arg-type]


def stress(
    component: str = "von_mises",
    *,
    at: Sequence[Any] | None = None,
    on: str | Selection | None = None,
    over: str = "max",
    case: str | None = None,
    excluding: str | Selection | None = None,
    sigma: float | None = None,
) -> StressQuantity:
    """Recovered stress at a point or over a place, Pa.

    Parameters
    ----------
    component : str
        "von_mises", "tresca", "xx" "yy" "zz" "xy" "yz" "xz", "principal_1" to "principal_3" (descending) or
        "max_principal".
    at : (x, y, z), optional
        One point, in m or with units: ("10 mm", "0 mm", "5 mm").
    on, over, case, excluding, sigma
        As `displacement`; over "max" unless given.
    """
    return StressQuantity(
        component=component,
        at=at,  # type: ignore[arg-type]
        on=on,  # type: ignore[arg-type]
        over=over,
        case=case,
        excluding=excluding,  # type: ignore[arg-type]
        sigma=sigma,
    )
