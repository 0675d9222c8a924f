"""Excitation: what shakes a part, over frequency or time, by its base or by loads.

One class for each way of stating it, made by a function of the like name: ``base_psd("z", [("10 Hz",
"0.01 g**2/Hz"), ...])``. Analyses ask an excitation for its ``inputs``, and each input whether it moves the
base (``is_base`` and ``direction``) or loads the part (``nodal_forces``), and how much at which frequency or
time (``at``).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from designtwin.errors import ModelError, UnitError, did_you_mean
from designtwin.io.logs import Signal
from designtwin.model.coordinates import Vector, unit_vector
from designtwin.model.loads import Load
from designtwin.model.magnitude import Magnitude, MagnitudeLike, StatedTable
from designtwin.model.supports import InertiaBalance
from designtwin.plain import Plain
from designtwin.typing import FloatArray
from designtwin.units import STANDARD_GRAVITY, example_of, show, to_si

if TYPE_CHECKING:
    from designtwin.model.model import Model

__all__ = [
    "BaseHarmonic", "BaseMotion", "BasePsd", "Correlated", "Excitation", "ForceHarmonic", "ForceHistory",
    "ForcePsd", "HalfSine", "ResponseSpectrum", "Together", "base_harmonic", "base_motion", "base_psd",
    "correlated", "force_history", "force_psd", "half_sine", "harmonic", "response_spectrum", "together",
]  # fmt: skip

ComplexArray: TypeAlias = NDArray[np.complex128]
Kind: TypeAlias = Literal["random", "harmonic", "spectrum", "transient"]
LoadsLike: TypeAlias = "Load | Sequence[Load] | str"
"""Loads, or the name of a load case whose loads are meant."""


class Excitation(Plain):
    """What shakes a part. A class of your own needs ``at``, and ``nodal_forces`` or ``direction``.

    Attributes
    ----------
    kind : "random", "harmonic", "spectrum" or "transient"
        The analysis it belongs to.
    is_base : bool
        Whether it moves the base, along ``direction``, or loads the part.
    direction : three numbers
        A unit vector; zeros of loads. Of what has several ``inputs`` each has its own.
    """

    kind: ClassVar[Kind]
    is_base: ClassVar[bool] = False
    direction: Vector

    @property
    def inputs(self) -> tuple[Excitation, ...]:
        """What it is made of: itself, or several that act together."""
        return (self,)

    def nodal_forces(self, model: Model) -> FloatArray:
        """Forces on the nodes where ``at`` is 1, float64[n_points, 3], N; zero of base motion."""
        return np.zeros((model.mesh.n_points, 3))

    def check(self, model: Model) -> None:
        """Raise ModelError if the excitation makes no sense on this model."""

    @property
    def said(self) -> str:
        """The excitation in a few words: ``base_psd along z, 10 Hz to 2000 Hz, 6.06 g rms``."""
        return type(self).__name__


def _settle(item: Excitation, **values: object) -> None:
    for name, value in values.items():
        object.__setattr__(item, name, value)


def _one(value: Any, dimension: str, name: str) -> float:
    number = to_si(value, dimension, name=name)
    if not isinstance(number, float):
        raise ModelError(f"{name}: one value is wanted, got {value!r}")
    return number


# Base motion and loads


def _direction_said(direction: Vector) -> str:
    for axis, name in enumerate("xyz"):
        if abs(direction[axis]) == 1.0:
            return name if direction[axis] > 0.0 else f"-{name}"
    return "(" + ", ".join(f"{one:.3g}" for one in direction) + ")"


def check_base(model: Model, direction: Vector, who: str) -> None:
    """Raise ModelError if a model has no base that could move along a direction."""
    if model.axisymmetric and (direction[0] or direction[2]):
        raise ModelError(f"{who}: an axisymmetric model moves along y, its axis, only")
    if model.dimension == 2 and direction[2]:
        raise ModelError(f"{who}: the model is plane and moves in x and y only")
    if not any(support.is_base(model) for support in model.supports):
        raise ModelError(
            f"{who} moves the supports, and the model has none that hold it to ground; add one, such as "
            "FixedSupport(on=...), or excite the part by forces"
        )


def _settle_loads(given: LoadsLike, who: str) -> str | tuple[Load, ...]:
    if isinstance(given, str):
        return given
    loads = (given,) if isinstance(given, Load) else given
    if not isinstance(loads, Sequence) or not loads or not all(isinstance(one, Load) for one in loads):
        raise ModelError(f"{who}: loads are wanted, or the name of a load case that has them; got {given!r}")
    for load in loads:
        if load.physics != "static":
            raise ModelError(f"{who}: {load.said} is heat, and moves nothing; state a force or a pressure")
    return tuple(loads)


def _loads_said(loads: str | tuple[Load, ...]) -> str:
    return f"case {loads!r}" if isinstance(loads, str) else " and ".join(load.said for load in loads)


def _loads_of(model: Model, loads: str | tuple[Load, ...], who: str) -> list[tuple[float, Load]]:
    """Loads with factors; those of a case that may be a combination."""
    if not isinstance(loads, str):
        return [(1.0, load) for load in loads]
    known = (*model.cases, *model.combinations)
    if loads not in known:
        hint = did_you_mean(loads, known) or f"; there are {list(known)}"
        raise ModelError(f"{who}: the model has no load case {loads!r}{hint}")
    factors = model.combinations.get(loads, {loads: 1.0})
    out = []
    for name, factor in factors.items():
        case = model.cases[name]
        if case.supports:
            raise ModelError(
                f"{who}: case {name!r} has supports of its own; only those of the whole model hold a part "
                "that vibrates. Move them to supports=, or state the loads themselves"
            )
        if case.temperature is not None:
            raise ModelError(
                f"{who}: case {name!r} has a temperature, whose strain is no load that varies in time here; "
                "as a state under which the part vibrates give it as prestress="
            )
        out += [(factor, load) for load in case.loads if not isinstance(load, InertiaBalance)]
    if not out:
        raise ModelError(f"{who}: case {loads!r} has no loads")
    return out


class _Base(Excitation):
    """Base motion along a direction; accelerations, m/s^2."""

    is_base: ClassVar[bool] = True

    def check(self, model: Model) -> None:
        check_base(model, self.direction, self.said)


class _Forces(Excitation):
    """Loads times what varies."""

    loads: Any
    direction: ClassVar[Vector] = (0.0, 0.0, 0.0)  # type: ignore[misc]

    def nodal_forces(self, model: Model) -> FloatArray:
        out = np.zeros((model.mesh.n_points, 3))
        for factor, load in _loads_of(model, self.loads, self.said):
            out += factor * load.nodal_forces(model)
        return out

    def check(self, model: Model) -> None:
        for _, load in _loads_of(model, self.loads, self.said):
            load.check(model)
        if not self.nodal_forces(model).any():
            raise ModelError(f"{self.said}: its loads are all zero, and shake nothing")


# Tables over frequency


def _rows(table: Any, who: str, what: str) -> tuple[list[Any], list[Any]]:
    """The two columns of a table."""
    if isinstance(table, np.ndarray) and table.ndim == 2 and table.shape[1] == 2:
        return list(table[:, 0]), list(table[:, 1])
    pairs = isinstance(table, Sequence) and not isinstance(table, str)
    if not pairs or not all(
        isinstance(row, Sequence | np.ndarray) and not isinstance(row, str) and len(row) == 2 for row in table
    ):
        raise ModelError(f"{who}: a list of pairs is wanted, frequency and {what}; got {table!r}")
    return [row[0] for row in table], [row[1] for row in table]


def _frequencies(given: Any, who: str, at_least: int = 2) -> FloatArray:
    f = np.atleast_1d(np.asarray(to_si(given, "frequency", name=f"{who} frequency"), np.float64))
    if f.ndim != 1 or len(f) < at_least:
        raise ModelError(f"{who}: at least {at_least} frequencies are wanted; got {f.size}")
    if f[0] <= 0.0:
        raise ModelError(
            f"{who}: the frequency {show(float(f[0]), 'frequency')} is not above zero; tables over frequency "
            "are read on logarithmic scales"
        )
    falls = np.flatnonzero(np.diff(f) <= 0.0)
    if len(falls):
        i = int(falls[0])
        raise ModelError(
            f"{who}: frequencies must increase; row {i + 2} ({show(float(f[i + 1]), 'frequency')}) follows "
            f"{show(float(f[i]), 'frequency')}"
        )
    f.setflags(write=False)
    return f


def _positive(values: FloatArray, f: FloatArray, who: str, what: str, dimension: str) -> FloatArray:
    if values.shape != f.shape:
        raise ModelError(f"{who}: {len(f)} frequencies and values of shape {list(values.shape)}")
    bad = np.flatnonzero(values <= 0.0)
    if len(bad):
        i = int(bad[0])
        raise ModelError(
            f"{who}: the {what} at {show(float(f[i]), 'frequency')} is {show(float(values[i]), dimension)}; "
            "it must be positive, as a logarithmic scale asks. Where nothing acts, let the table end"
        )
    values.setflags(write=False)
    return values


def _of_one(value: Any, dimensions: Sequence[str], name: str) -> tuple[float, str]:
    """A value of the first dimension that fits it, and which."""
    errors = []
    for dimension in dimensions:
        try:
            return _one(value, dimension, name), dimension
        except UnitError as error:
            errors.append(error)
    if len(dimensions) == 1:
        raise errors[0]
    examples = " or ".join(f"'{example_of(one)}'" for one in dimensions)
    raise UnitError(f"{name}: {value!r} is none of what is wanted here, such as {examples}") from errors[0]


def _loglog(f: FloatArray, knots: FloatArray, values: FloatArray) -> FloatArray:
    """Straight between rows on logarithmic scales; end values beyond."""
    return np.asarray(np.exp(np.interp(np.log(f), np.log(knots), np.log(values))))


def _inside(f: FloatArray, low: float, high: float) -> NDArray[np.bool_]:
    """Whether frequencies lie in a band; the last digit is forgiven."""
    return (f >= low * (1.0 - 1e-9)) & (f <= high * (1.0 + 1e-9))


class _Density(Excitation):
    """A spectral density, straight on logarithmic scales between rows, zero beyond."""

    kind: ClassVar[Kind] = "random"
    frequencies: Any
    values: Any

    def at(self, frequency: FloatArray) -> FloatArray:
        """One-sided spectral density at frequencies float64[k], Hz; zero outside of the table.

        Returns
        -------
        float64[k]
            (m/s^2)^2/Hz of base motion; of loads 1/Hz, of what multiplies them.
        """
        f = np.atleast_1d(np.asarray(frequency, np.float64))
        out = np.zeros(len(f))
        some = _inside(f, self.frequencies[0], self.frequencies[-1])
        out[some] = _loglog(f[some], self.frequencies, self.values)
        return out

    def density(self, frequency: FloatArray) -> ComplexArray:
        """Cross-spectral densities of its inputs, complex128[k, n, n]; here n is 1."""
        return self.at(frequency).astype(np.complex128)[:, None, None]

    @property
    def band(self) -> tuple[float, float]:
        """First and last frequency, Hz."""
        return float(self.frequencies[0]), float(self.frequencies[-1])

    @property
    def rms(self) -> float:
        """Root of the exact integral of the density, m/s^2 (or the factor of the loads)."""
        ratio = np.log(self.frequencies[1:] / self.frequencies[:-1])
        slope = np.log(self.values[1:] / self.values[:-1]) + ratio
        # int S df over a piece is S1 f1 ratio (e^slope - 1) / slope.
        growth = np.where(np.abs(slope) < 1e-12, 1.0, np.expm1(slope) / np.where(slope == 0.0, 1.0, slope))
        return float(np.sqrt((self.values[:-1] * self.frequencies[:-1] * ratio * growth).sum()))

    @property
    def _span_said(self) -> str:
        low, high = self.band
        return f"{show(low, 'frequency')} to {show(high, 'frequency')}"


@dataclass(frozen=True, kw_only=True, eq=False)
class BasePsd(_Base, _Density):
    """Random motion of the base; see `base_psd`.

    Parameters
    ----------
    direction : direction
    frequencies : float64[k], Hz
    values : float64[k], (m/s^2)^2/Hz
    """

    direction: Any
    frequencies: Any
    values: Any

    def __post_init__(self) -> None:
        direction = unit_vector(self.direction, name="base_psd direction")
        f = _frequencies(self.frequencies, "base_psd")
        name = "base_psd value"
        values = np.array([_one(v, "acceleration_density", name) for v in self.values])
        values = _positive(values, f, "base_psd", "density", "acceleration_density")
        _settle(self, direction=direction, frequencies=f, values=values)

    @property
    def said(self) -> str:
        rms = f"{self.rms / STANDARD_GRAVITY:.4g} g rms"
        return f"base_psd along {_direction_said(self.direction)}, {self._span_said}, {rms}"


@dataclass(frozen=True, kw_only=True, eq=False)
class ForcePsd(_Forces, _Density):
    """Random loads; see `force_psd`.

    Parameters
    ----------
    loads : loads or the name of a load case
    frequencies : float64[k], Hz
    values : float64[k], 1/Hz
        Of the factor that multiplies the loads.
    stated_as : str
        "force_density" where the density was stated as that of a force, which the loads must then be 1 N of.
    """

    loads: Any
    frequencies: Any
    values: Any
    stated_as: str = "factor_density"

    def __post_init__(self) -> None:
        loads = _settle_loads(self.loads, "force_psd")
        f = _frequencies(self.frequencies, "force_psd")
        kinds = ("factor_density", "force_density", "stress_density")
        found = [_of_one(v, kinds, "force_psd value") for v in self.values]
        values = _positive(np.array([v for v, _ in found]), f, "force_psd", "density", "factor_density")
        forces = any(kind == "force_density" for _, kind in found)
        stated = "force_density" if forces else self.stated_as
        _settle(self, loads=loads, frequencies=f, values=values, stated_as=stated)

    def check(self, model: Model) -> None:
        super().check(model)
        total = float(np.linalg.norm(self.nodal_forces(model).sum(axis=0)))
        if self.stated_as == "force_density" and abs(total - 1.0) > 1e-6:
            raise ModelError(
                f"{self.said}: a density of force, such as '4 N**2/Hz', multiplies loads that add up to 1 N, "
                f"and these add up to {show(total, 'force')}; state a load of 1 N, or the density of the "
                "factor, such as '0.04 1/Hz'"
            )

    @property
    def said(self) -> str:
        return f"force_psd of {_loads_said(self.loads)}, {self._span_said}, {self.rms:.4g} rms"


@dataclass(frozen=True, kw_only=True, eq=False)
class Correlated(Excitation):
    """Several random inputs that act at once; see `correlated`.

    Parameters
    ----------
    members : sequence of BasePsd or ForcePsd
    coherence : float64[n, n]
    phase : float64[n, n], rad
    """

    members: Any
    coherence: Any
    phase: Any = 0.0

    kind: ClassVar[Kind] = "random"

    def __post_init__(self) -> None:
        members = _members(self.members, "correlated")
        for one in members:
            if not isinstance(one, _Density):
                raise ModelError(f"correlated: {one.said} is no density; base_psd and force_psd are wanted")
        n = len(members)
        coherence = self._square(to_si(self.coherence, "share", name="correlated coherence"), n, "coherence")
        coherence = np.where(np.eye(n) > 0.0, 1.0, coherence) if np.ndim(self.coherence) < 2 else coherence
        if (coherence < 0.0).any() or (coherence > 1.0).any():
            raise ModelError("correlated: a coherence lies between 0, independent, and 1, of one source")
        if not np.array_equal(coherence, coherence.T) or not (np.diag(coherence) == 1.0).all():
            raise ModelError("correlated: a coherence matrix is symmetric with ones on its diagonal")
        phase = self._square(to_si(self.phase, "angle", name="correlated phase"), n, "phase")
        phase = np.triu(phase, 1) - np.triu(phase, 1).T if np.ndim(self.phase) < 2 else phase
        if np.abs(phase + phase.T).max() > 1e-12:
            raise ModelError("correlated: phase[i, j] is that of input i before input j, and -phase[j, i]")
        smallest = float(np.linalg.eigvalsh(np.sqrt(coherence) * np.exp(1j * phase))[0])
        if smallest < -1e-9:
            raise ModelError(
                "correlated: no random inputs have these coherences and phases together (their matrix has "
                f"the negative eigenvalue {smallest:.3g}); if a goes with b and b with c, then a goes with c"
            )
        for array in (coherence, phase):
            array.setflags(write=False)
        _settle(self, members=members, coherence=coherence, phase=phase)

    @staticmethod
    def _square(given: float | FloatArray, n: int, what: str) -> FloatArray:
        array = np.asarray(given, np.float64)
        if array.ndim == 0:
            return np.full((n, n), float(array))
        if array.shape != (n, n):
            raise ModelError(
                f"correlated: {n} inputs are given and a {what} of shape {list(array.shape)}; {[n, n]}, or "
                "one number for all pairs, is wanted"
            )
        return array

    @property
    def inputs(self) -> tuple[Excitation, ...]:
        return tuple(self.members)

    @property
    def frequencies(self) -> FloatArray:
        """Rows of all tables, float64[k], Hz."""
        return np.unique(np.concatenate([one.frequencies for one in self.members]))

    @property
    def band(self) -> tuple[float, float]:
        """First and last frequency of any input, Hz."""
        return float(self.frequencies[0]), float(self.frequencies[-1])

    def density(self, frequency: FloatArray) -> ComplexArray:
        """Cross-spectral densities S_ij = E[X_i conj(X_j)] of its inputs, complex128[k, n, n]."""
        root = np.sqrt(np.stack([one.at(frequency) for one in self.members], axis=1))
        together_ = np.sqrt(self.coherence) * np.exp(1j * self.phase)
        return np.asarray(root[:, :, None] * together_ * root[:, None, :])

    def check(self, model: Model) -> None:
        for one in self.members:
            one.check(model)

    @property
    def said(self) -> str:
        return "correlated " + " with ".join(one.said for one in self.members)


def _members(given: Any, who: str) -> tuple[Excitation, ...]:
    some = isinstance(given, Sequence) and not isinstance(given, str) and len(given) >= 2
    if not some or not all(isinstance(one, Excitation) for one in given):
        raise ModelError(f"{who}: a list of two excitations or more is wanted, got {given!r}")
    for one in given:
        if len(one.inputs) != 1:
            raise ModelError(f"{who}: {one.said} is made of several itself; list these")
    return tuple(given)


# Harmonic


class _Sweep(Excitation):
    """An amplitude over frequency, in a band or at given frequencies."""

    kind: ClassVar[Kind] = "harmonic"
    frequencies: Any
    low: Any
    high: Any
    phase: Any
    _knots: Any
    _values: Any

    def at(self, frequency: FloatArray) -> ComplexArray:
        """Complex amplitude at frequencies float64[k], Hz; the motion is the real part of it times e^(i w t).

        Returns
        -------
        complex128[k]
            m/s^2 of base motion; of loads the factor that multiplies them.

        Raises
        ------
        ModelError
            If a frequency lies outside of what was stated.
        """
        f = np.atleast_1d(np.asarray(frequency, np.float64))
        low, high = self.band
        outside = ~_inside(f, low, high)
        if outside.any():
            raise ModelError(
                f"{self.said}: {show(float(f[outside][0]), 'frequency')} lies outside of the band that was "
                "stated"
            )
        return np.asarray(_loglog(f, self._knots, self._values) * np.exp(1j * self.phase))

    @property
    def band(self) -> tuple[float, float]:
        """First and last frequency, Hz."""
        return float(self.low), float(self.high)

    @property
    def knots(self) -> FloatArray:
        """Frequencies where the amplitude kinks, and the ends of the band, float64[k], Hz."""
        inner = self._knots[(self._knots > self.low) & (self._knots < self.high)]
        return np.unique(np.concatenate([[self.low], inner, [self.high]]))

    @property
    def _span_said(self) -> str:
        low, high = self.band
        if low == high:
            return f"at {show(low, 'frequency')}"
        return f"{show(low, 'frequency')} to {show(high, 'frequency')}"


def _settle_sweep(
    item: _Sweep, who: str, amplitude: Any, read: Callable[[Any, FloatArray, str], FloatArray], dimension: str
) -> None:
    """Band, amplitude and phase of a sweep, in SI."""
    phase = _one(item.phase, "angle", f"{who} phase")
    points = None if item.frequencies is None else _frequencies(item.frequencies, who, 1)
    single = not isinstance(amplitude, Sequence | np.ndarray) or isinstance(amplitude, str)
    knots = None
    if not single:
        columns = _rows(amplitude, who, "amplitude")
        knots = _frequencies(columns[0], who)
    ends: list[float] = []
    for i, name in enumerate(("low", "high")):
        given = getattr(item, name)
        if given is not None:
            ends.append(_one(given, "frequency", f"{who} {name}"))
        elif points is not None:
            ends.append(float(points[-i]))
        elif knots is not None:
            ends.append(float(knots[-i]))
        else:
            raise ModelError(
                f"{who}: over which frequencies? Give low= and high=, as low='5 Hz', high='2 kHz', or "
                "frequencies=[...]"
            )
    low, high = ends
    if low <= 0.0 or not (low < high or (points is not None and low == high)):
        raise ModelError(
            f"{who}: the frequency band from {show(low, 'frequency')} to {show(high, 'frequency')} is empty; "
            "0 < low < high is wanted"
        )
    if points is not None and not _inside(points, low, high).all():
        raise ModelError(f"{who}: some of frequencies= lie outside of low= and high=; leave these two out")
    if knots is not None and not _inside(np.array(ends), knots[0], knots[-1]).all():
        raise ModelError(
            f"{who}: the amplitude is stated from {show(float(knots[0]), 'frequency')} to "
            f"{show(float(knots[-1]), 'frequency')}, and the band is {show(low, 'frequency')} to "
            f"{show(high, 'frequency')}; extend the table"
        )
    if knots is None:
        knots = np.array([low, high]) if low < high else np.array([low])
        values = read([amplitude] * len(knots), knots, f"{who} amplitude")
    else:
        values = read(columns[1], knots, f"{who} amplitude")
    values = _positive(values, knots, who, "amplitude", dimension)
    _settle(
        item, frequencies=points, low=low, high=high, phase=phase, _knots=knots, _values=values,
        amplitude=amplitude if single else [[float(f), float(a)] for f, a in zip(knots, values, strict=True)],
    )  # fmt: skip


def _accelerations(given: Sequence[Any], f: FloatArray, name: str) -> FloatArray:
    """Accelerations, or what displacements and velocities at these frequencies come to, m/s^2."""
    power = {"acceleration": 0, "velocity": 1, "length": 2}
    out = np.empty(len(f))
    for i, value in enumerate(given):
        number, dimension = _of_one(value, tuple(power), name)
        out[i] = number * (2.0 * np.pi * f[i]) ** power[dimension]
    return out


def _factors(given: Sequence[Any], f: FloatArray, name: str) -> FloatArray:
    return np.array([_one(value, "dimensionless", name) for value in given])


@dataclass(frozen=True, kw_only=True, eq=False)
class BaseHarmonic(_Base, _Sweep):
    """Harmonic motion of the base; see `base_harmonic`."""

    direction: Any
    amplitude: Any
    frequencies: Any = None
    low: Any = None
    high: Any = None
    phase: Any = 0.0

    def __post_init__(self) -> None:
        _settle(self, direction=unit_vector(self.direction, name="base_harmonic direction"))
        _settle_sweep(self, "base_harmonic", self.amplitude, _accelerations, "acceleration")

    @property
    def said(self) -> str:
        how = f"{self.amplitude} " if isinstance(self.amplitude, str) else ""
        return f"base_harmonic {how}along {_direction_said(self.direction)}, {self._span_said}"


@dataclass(frozen=True, kw_only=True, eq=False)
class ForceHarmonic(_Forces, _Sweep):
    """Loads that vary harmonically; see `harmonic`."""

    loads: Any
    amplitude: Any = 1.0
    frequencies: Any = None
    low: Any = None
    high: Any = None
    phase: Any = 0.0

    def __post_init__(self) -> None:
        _settle(self, loads=_settle_loads(self.loads, "harmonic"))
        _settle_sweep(self, "harmonic", self.amplitude, _factors, "dimensionless")

    @property
    def said(self) -> str:
        return f"harmonic {_loads_said(self.loads)}, {self._span_said}"


# Response spectra


@dataclass(frozen=True, kw_only=True, eq=False)
class ResponseSpectrum(_Base):
    """Largest answers of oscillators to a motion of the base; see `response_spectrum`.

    Parameters
    ----------
    direction : direction
    frequencies : float64[k], Hz
    values : float64[k], m/s^2
    damping : float
    combine : "SRSS" or "CQC"
    """

    direction: Any
    frequencies: Any
    values: Any
    damping: Any = "5 %"
    combine: str = "CQC"

    kind: ClassVar[Kind] = "spectrum"

    def __post_init__(self) -> None:
        who = "response_spectrum"
        direction = unit_vector(self.direction, name=f"{who} direction")
        f = _frequencies(self.frequencies, who)
        values = _accelerations(self.values, f, f"{who} value")
        values = _positive(values, f, who, "acceleration", "acceleration")
        damping = _one(self.damping, "share", f"{who} damping")
        if not 0.0 <= damping < 1.0:
            raise ModelError(f"{who}: its damping is {show(damping, 'share')}; 0 to below 100 % is possible")
        if self.combine not in ("SRSS", "CQC"):
            raise ModelError(f"{who}: combine is {self.combine!r}; it may be 'SRSS' or 'CQC'")
        if self.combine == "CQC" and damping == 0.0:
            raise ModelError(f"{who}: CQC without damping is SRSS; write combine='SRSS'")
        _settle(self, direction=direction, frequencies=f, values=values, damping=damping)

    def at(self, frequency: FloatArray) -> FloatArray:
        """Spectral acceleration at frequencies float64[k], Hz: float64[k], m/s^2.

        Above the table its last value counts, the peak acceleration of the base itself.

        Raises
        ------
        ModelError
            If a frequency lies below the table.
        """
        f = np.atleast_1d(np.asarray(frequency, np.float64))
        low = self.band[0]
        if (f < low * (1.0 - 1e-9)).any():
            raise ModelError(
                f"{self.said}: {show(float(f.min()), 'frequency')} lies below the table; "
                "extend it down to that"
            )
        return _loglog(f, self.frequencies, self.values)

    @property
    def band(self) -> tuple[float, float]:
        """First and last frequency, Hz."""
        return float(self.frequencies[0]), float(self.frequencies[-1])

    @property
    def said(self) -> str:
        low, high = self.band
        span = f"{show(low, 'frequency')} to {show(high, 'frequency')}"
        return f"response_spectrum along {_direction_said(self.direction)}, {span}, {self.combine}"


# In time


class _Course(Excitation):
    """What varies in time."""

    kind: ClassVar[Kind] = "transient"

    def at(self, time: FloatArray) -> FloatArray:
        """Base acceleration (m/s^2), or the factor of the loads, at times float64[k], s: float64[k]."""
        raise NotImplementedError

    @property
    def breakpoints(self) -> FloatArray:
        """Times at which it kinks or jumps, float64[k], s, increasing."""
        return np.empty(0)

    @property
    def duration(self) -> float | None:
        """When it ends, s; None where it goes on."""
        return None


@dataclass(frozen=True, kw_only=True, eq=False)
class HalfSine(_Base, _Course):
    """A half-sine shock of the base; see `half_sine`."""

    direction: Any
    peak: Any
    length: Any

    def __post_init__(self) -> None:
        peak = _one(self.peak, "acceleration", "half_sine peak")
        length = _one(self.length, "time", "half_sine duration")
        if peak <= 0.0 or length <= 0.0:
            raise ModelError(
                f"half_sine: a peak of {show(peak, 'acceleration')} over {show(length, 'time')} is no pulse; "
                "both must be positive (the direction may be '-z')"
            )
        direction = unit_vector(self.direction, name="half_sine direction")
        _settle(self, direction=direction, peak=peak, length=length)

    def at(self, time: FloatArray) -> FloatArray:
        t = np.atleast_1d(np.asarray(time, np.float64))
        on = (t > 0.0) & (t < self.length)
        return np.asarray(np.where(on, self.peak * np.sin(np.pi * t / self.length), 0.0))

    @property
    def breakpoints(self) -> FloatArray:
        return np.array([0.0, self.length])

    @property
    def duration(self) -> float:
        return float(self.length)

    @property
    def said(self) -> str:
        return (
            f"half_sine {self.peak / STANDARD_GRAVITY:.4g} g, {1e3 * self.length:.4g} ms along "
            f"{_direction_said(self.direction)}"
        )


def _over_time(given: Any, dimension: str, name: str) -> Magnitude:
    """A table of pairs, a log, a table or function over time, or a constant."""
    pairs = isinstance(given, np.ndarray) and given.ndim == 2 and given.shape[1] == 2
    if pairs or (isinstance(given, Sequence) and not isinstance(given, str)):
        if not all(isinstance(row, Sequence | np.ndarray) and len(row) == 2 for row in given):
            raise ModelError(f"{name}: a list of pairs is wanted, time and value; got {given!r}")
        given = StatedTable("time", [row[0] for row in given], [row[1] for row in given], "raise")
    value = Magnitude.of(given, dimension, name=name)
    if value.depends_on not in (None, "time"):
        raise ModelError(
            f"{name} varies over {value.depends_on}; a table or function(..., over='time') is wanted"
        )
    return value


def _in_time(value: Magnitude, time: FloatArray, who: str) -> FloatArray:
    """A magnitude at times; beyond a table it stays at zero if it ends there."""
    t = np.atleast_1d(np.asarray(time, np.float64))
    if value.kind != "table" or value.outside == "hold":
        return value.at(time=t)
    assert value.knots is not None
    assert value.values is not None
    slack = 1e-9 * float(np.abs(value.knots).max())
    for end, outside, word in (
        (0, t < value.knots[0] - slack, "begins"),
        (-1, t > value.knots[-1] + slack, "ends"),
    ):
        if outside.any() and value.values[end] != 0.0:
            raise ModelError(
                f"{who} {word} at {show(float(value.knots[end]), 'time')} with "
                f"{show(float(value.values[end]), value.dimension)} and is asked for at "
                f"{show(float(t[outside][0]), 'time')}; extend the table, let it {word[:-1]} with zero, or "
                "say outside='hold' to keep the end value"
            )
    return np.asarray(np.interp(t, value.knots, value.values))


class _Told(_Course):
    """A course that a magnitude tells."""

    @property
    def _course(self) -> Magnitude:
        raise NotImplementedError

    def at(self, time: FloatArray) -> FloatArray:
        return _in_time(self._course, time, self.said)

    @property
    def breakpoints(self) -> FloatArray:
        return self._course.breakpoints

    @property
    def duration(self) -> float | None:
        course = self._course
        if course.kind != "table" or course.knots is None:
            return None
        return float(course.knots[-1])


@dataclass(frozen=True, kw_only=True, eq=False)
class BaseMotion(_Base, _Told):
    """Motion of the base over time; see `base_motion`."""

    direction: Any
    acceleration: Any

    def __post_init__(self) -> None:
        direction = unit_vector(self.direction, name="base_motion direction")
        acceleration = _over_time(self.acceleration, "acceleration", "base_motion acceleration")
        _settle(self, direction=direction, acceleration=acceleration)

    @property
    def _course(self) -> Magnitude:
        return self.acceleration  # type: ignore[no-any-return]

    @property
    def said(self) -> str:
        return f"base_motion along {_direction_said(self.direction)}, {self.acceleration}"


@dataclass(frozen=True, kw_only=True, eq=False)
class ForceHistory(_Forces, _Told):
    """Loads times a factor over time; see `force_history`."""

    loads: Any
    factor: Any = 1.0

    def __post_init__(self) -> None:
        loads = _settle_loads(self.loads, "force_history")
        _settle(self, loads=loads, factor=_over_time(self.factor, "dimensionless", "force_history factor"))

    @property
    def _course(self) -> Magnitude:
        return self.factor  # type: ignore[no-any-return]

    @property
    def said(self) -> str:
        return f"force_history of {_loads_said(self.loads)}, {self.factor}"


@dataclass(frozen=True, kw_only=True, eq=False)
class Together(Excitation):
    """Harmonic sweeps, courses or spectra that act at once; see `together`."""

    members: Any

    def __post_init__(self) -> None:
        members = _members(self.members, "together")
        kinds = {one.kind for one in members}
        if "random" in kinds:
            raise ModelError("together: random inputs are joined by correlated([...], coherence=...)")
        if len(kinds) > 1:
            raise ModelError(
                f"together: {' and '.join(sorted(kinds))} excitations belong to different analyses; state "
                "one case for each"
            )
        _settle(self, members=members)
        if self.kind == "harmonic" and self.band[0] > self.band[1]:
            raise ModelError(
                "together: the sweeps have no frequency in common; the band in which all of them act is empty"
            )

    @property
    def kind(self) -> Kind:  # type: ignore[override]
        return self.members[0].kind  # type: ignore[no-any-return]

    @property
    def inputs(self) -> tuple[Excitation, ...]:
        return tuple(self.members)

    @property
    def band(self) -> tuple[float, float]:
        """Frequencies at which all act, Hz."""
        bands = np.array([one.band for one in self.members])
        return float(bands[:, 0].max()), float(bands[:, 1].min())

    @property
    def breakpoints(self) -> FloatArray:
        """Times at which any input kinks or jumps, float64[k], s, increasing."""
        return np.unique(np.concatenate([one.breakpoints for one in self.members]))

    @property
    def duration(self) -> float | None:
        """When the last input ends, s; None where one goes on."""
        ends = [one.duration for one in self.members]
        return None if None in ends else max(ends)

    def check(self, model: Model) -> None:
        for one in self.members:
            one.check(model)

    @property
    def said(self) -> str:
        return " together with ".join(one.said for one in self.members)


# What users write


def base_psd(direction: Any, table: Any) -> BasePsd:
    """Random vibration of the base: all supports shake together.

    Parameters
    ----------
    direction : "x", "y", "z" or three numbers
    table : list of (frequency, density)
        Such as ``[("10 Hz", "0.01 g**2/Hz"), ("2 kHz", "0.01 g**2/Hz")]``, straight on logarithmic scales
        between rows, nothing beyond; one-sided. Plain numbers are Hz and (m/s^2)^2/Hz.

    Raises
    ------
    ModelError
        If frequencies do not increase, or a density is not positive.
    """
    f, values = _rows(table, "base_psd", "density")
    return BasePsd(direction=direction, frequencies=f, values=values)


def force_psd(loads: LoadsLike, table: Any) -> ForcePsd:
    """Random loads.

    Parameters
    ----------
    loads : Load, list of Load, or the name of a load case
        They are multiplied by a random factor: state loads of 1 N (or 1 Pa), and the table is that of the
        force (or the pressure).
    table : list of (frequency, density)
        Density in N^2/Hz (refused unless the loads add up to 1 N), Pa^2/Hz or 1/Hz; as in `base_psd`.
    """
    f, values = _rows(table, "force_psd", "density")
    return ForcePsd(loads=loads, frequencies=f, values=values)


def correlated(inputs: Sequence[BasePsd | ForcePsd], *, coherence: Any, phase: Any = 0.0) -> Correlated:
    """Random inputs that act at once and know of each other.

    Parameters
    ----------
    inputs : sequence of base_psd and force_psd
    coherence : number or float64[n, n]
        Ordinary coherence |S_ij|^2 / (S_ii S_jj) of pairs: 0 of independent inputs, 1 of one source.
    phase : angle or angles [n, n], optional
        By which input i leads input j, i < j: S_ij = E[X_i conj(X_j)] is the root of
        coherence S_ii S_jj, times e^(i phase).

    Raises
    ------
    ModelError
        If no random inputs have such coherences.
    """
    return Correlated(members=tuple(inputs), coherence=coherence, phase=phase)


def base_harmonic(
    direction: Any, amplitude: Any, *, low: Any = None, high: Any = None, frequencies: Any = None,
    phase: Any = 0.0,
) -> BaseHarmonic:  # fmt: skip
    """A sine sweep of the base: all supports move together.

    Parameters
    ----------
    direction : "x", "y", "z" or three numbers
    amplitude : acceleration, velocity or length, or a list of (frequency, amplitude)
        Such as ``"1 g"``; straight on logarithmic scales between rows. A velocity or a displacement stands
        for the acceleration that it comes to. Plain numbers are m/s^2.
    low, high : frequency, optional
        Band of the sweep; that of the table without.
    frequencies : list of frequencies, optional
        To answer at these alone.
    phase : angle, optional
        For several at once, see `together`.

    Raises
    ------
    ModelError
        If the band is empty, or the amplitude is not known in all of it.
    """
    return BaseHarmonic(
        direction=direction, amplitude=amplitude, low=low, high=high, frequencies=frequencies, phase=phase
    )


def harmonic(
    loads: LoadsLike, *, amplitude: Any = 1.0, low: Any = None, high: Any = None, frequencies: Any = None,
    phase: Any = 0.0,
) -> ForceHarmonic:  # fmt: skip
    """Loads that vary harmonically.

    Parameters
    ----------
    loads : Load, list of Load, or the name of a load case
        Their values are amplitudes.
    amplitude : number, or a list of (frequency, number), optional
        Multiplies them: an unbalance grows with the square of the frequency.
    low, high, frequencies, phase
        As in `base_harmonic`.
    """
    return ForceHarmonic(
        loads=loads, amplitude=amplitude, low=low, high=high, frequencies=frequencies, phase=phase
    )


def response_spectrum(
    direction: Any, table: Any, *, damping: Any = "5 %", combine: Literal["SRSS", "CQC"] = "CQC"
) -> ResponseSpectrum:
    """A response spectrum: how far a shock or an earthquake drives oscillators of every frequency.

    Parameters
    ----------
    direction : "x", "y", "z" or three numbers
    table : list of (frequency, acceleration)
        Pseudo-acceleration, or the spectral velocity or displacement that stands for it; straight on
        logarithmic scales between rows. Above the table its last value counts.
    damping : share
        For which the spectrum holds; it also couples near modes in CQC.
    combine : "CQC" or "SRSS"
        How the largest answers of modes, which come at different times, are added.
    """
    f, values = _rows(table, "response_spectrum", "acceleration")
    return ResponseSpectrum(
        direction=direction, frequencies=f, values=values, damping=damping, combine=combine
    )


def half_sine(direction: Any, peak: Any, duration: Any) -> HalfSine:
    """A half-sine shock of the base, such as ``half_sine("z", "50 g", "11 ms")``."""
    return HalfSine(direction=direction, peak=peak, length=duration)


def base_motion(direction: Any, acceleration: MagnitudeLike | Signal | Sequence[Any]) -> BaseMotion:
    """Motion of the base over time.

    Parameters
    ----------
    direction : "x", "y", "z" or three numbers
    acceleration : list of (time, acceleration), a table, function or log over time
        Linear between rows. Beyond a table that ends with zero it stays zero; beyond any other is an error.
    """
    return BaseMotion(direction=direction, acceleration=acceleration)


def force_history(loads: LoadsLike, factor: MagnitudeLike | Signal | Sequence[Any] = 1.0) -> ForceHistory:
    """Loads over time.

    Parameters
    ----------
    loads : Load, list of Load, or the name of a load case
    factor : list of (time, number), a table, function or log over time, or a number
        Multiplies them; 1.0 is a step at time zero. As `base_motion` beyond a table.
    """
    return ForceHistory(loads=loads, factor=factor)


def together(*excitations: Excitation) -> Together:
    """Harmonic sweeps, courses in time or response spectra that act at once, as along x and y.

    Random inputs are joined by `correlated`.
    """
    return Together(members=excitations)
