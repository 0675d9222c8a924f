"""Creep rupture at temperature: how long a stress is borne, and how much stress for so long."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from designtwin import units
from designtwin.errors import MissingPropertyError, RequirementError
from designtwin.mesh.selections import Selection
from designtwin.requirements import gauges
from designtwin.requirements.base import one_of
from designtwin.requirements.fields import MechanicalQuantity
from designtwin.requirements.strength import kelvin_at, parts_on, ratio
from designtwin.typing import FloatArray, IntArray

if TYPE_CHECKING:
    from designtwin.model.model import Model

_STRESS = {"von_mises": "von_mises", "max_principal": "principal_1"}


@dataclass(frozen=True, kw_only=True)
class CreepQuantity(MechanicalQuantity):
    """What follows from Larson and Miller's parameter at stress and temperature of a load case."""

    over: str = "min"
    criterion: str = "von_mises"
    temperature_tolerance: Any = 0.0

    def __post_init__(self) -> None:
        super().__post_init__()
        one_of(self.over, ("min",), "over")
        one_of(self.criterion, tuple(_STRESS), "criterion")
        kelvin = units.to_si(
            self.temperature_tolerance, "temperature_difference", name="temperature_tolerance"
        )
        if not isinstance(kelvin, float) or kelvin < 0.0:
            raise RequirementError(
                f"temperature_tolerance={self.temperature_tolerance!r}: one difference is wanted, such as "
                "'5 K'"
            )
        object.__setattr__(self, "temperature_tolerance", kelvin)

    @property
    def read_from(self) -> tuple[str, ...]:
        return ("static",)

    @property
    def reads(self) -> str:
        return _STRESS[self.criterion]

    @property
    def _words(self) -> str:
        by = "" if self.criterion == "von_mises" else ", largest principal stress"
        give = units.show(self.temperature_tolerance, "temperature_difference")
        return by + (f", temperature ± {give}" if self.temperature_tolerance else "")

    def check(self, model: Model) -> None:
        super().check(model)
        for index in parts_on(model, self.on):
            self._curve(model.parts[index])
        for name, case in model.cases.items():
            if self.case in (None, name) and case.is_static and case.temperature is None:
                self._no_temperature(name)

    def _no_temperature(self, name: str) -> None:
        raise RequirementError(
            f"{self.label}: load case {name!r} states no temperature; add Temperature('550 degC') or that "
            "of a thermal result to its loads, or name a hot case by case='...'"
        )

    def _curve(self, part: Any) -> Any:
        curve = getattr(part.section.material, "creep_rupture", None)
        if curve is None:
            raise MissingPropertyError(
                f"part {part.name!r}: {self.label} needs creep_rupture of {part.section.material._who}; "
                "state it, e.g. creep_rupture=LarsonMiller(constant=20, parameter=(20e3, 24e3), "
                "stress=('300 MPa', '100 MPa')): nothing missing is guessed"
            )
        return curve

    def _field(self, case: Any, rows: IntArray) -> tuple[FloatArray, FloatArray, FloatArray]:
        stress, least, most = (np.maximum(one, 0.0) for one in self.read(case, self.reads, rows))
        kelvin = self._kelvin(case, rows)
        part = case.points.part[rows]
        value, low, high = np.empty((3, len(rows)))
        give = self.temperature_tolerance
        for index in np.unique(part):
            here = part == index
            curve, warm = self._curve(case.model.parts[index]), kelvin[here]
            value[here] = self._answer(curve, stress[here], warm)[0]
            low[here] = self._answer(curve, most[here], warm + give)[1]
            high[here] = self._answer(curve, least[here], np.maximum(warm - give, 1.0))[2]
        unknown = np.isnan(least)
        low[unknown], high[unknown] = np.nan, np.nan
        return value, low, high

    def _kelvin(self, case: Any, rows: IntArray) -> FloatArray:
        """The temperature at rows; a combination has that of the one case in it that states any."""
        found = [kelvin_at(one, rows) for _, one in case.parts] if case.parts else [kelvin_at(case, rows)]
        stated = [one for one in found if one is not None]
        if not stated:
            self._no_temperature(case.name)
        if len(stated) > 1:
            raise RequirementError(
                f"{self.label}: combination {case.name!r} adds {len(stated)} cases that state a "
                "temperature each, and has none of its own; put all loads of the hot state into one case"
            )
        return stated[0]

    def _answer(self, curve: Any, stress: FloatArray, kelvin: FloatArray) -> gauges.Bounds:
        """What the curve says, and its bounds beyond its ends."""
        raise NotImplementedError


@dataclass(frozen=True, kw_only=True)
class CreepLife(CreepQuantity):
    """Time to creep rupture; see `creep_life`."""

    spans_decades: ClassVar[bool] = True
    dimension: ClassVar[str] = "life"

    @property
    def label(self) -> str:
        return f"creep life{self._words}{self._place_words()}"

    def _answer(self, curve: Any, stress: FloatArray, kelvin: FloatArray) -> gauges.Bounds:
        life, low, high = curve.life(stress, kelvin)
        return life, low, high


@dataclass(frozen=True, kw_only=True)
class CreepMargin(CreepQuantity):
    """Rupture stress over stress; see `creep_margin`."""

    duration: Any

    def __post_init__(self) -> None:
        super().__post_init__()
        seconds = units.to_si(self.duration, "time", name="duration")
        if not isinstance(seconds, float) or seconds <= 0.0:
            raise RequirementError(f"duration={self.duration!r}: one time is wanted, such as '100000 h'")
        object.__setattr__(self, "duration", seconds)

    @property
    def label(self) -> str:
        return f"creep margin ({self.duration / 3600.0:,.6g} h{self._words}){self._place_words()}"

    def _answer(self, curve: Any, stress: FloatArray, kelvin: FloatArray) -> gauges.Bounds:
        strength, low, high = curve.rupture_stress(self.duration, kelvin)
        # what is unstressed lasts, even where nothing is known of the strength
        stress = np.maximum(stress, 1e-300)
        return ratio(strength, stress), ratio(low, stress), ratio(high, stress)


def creep_life(
    *,
    on: str | Selection | None = None,
    case: str | None = None,
    excluding: str | Selection | None = None,
    criterion: str = "von_mises",
    temperature_tolerance: Any = 0.0,
) -> CreepLife:
    """Time to creep rupture by Larson and Miller, s, the shortest over the place.

    Stress and temperature of the load case are held for good; of a course in time the worst instant is.
    Stress is elastic: what relaxes in service makes it last longer. Time is no factor on the load;
    `creep_margin` is.

    Parameters
    ----------
    on, case, excluding
        As `displacement`. The case must state a temperature, and materials their `creep_rupture`.
    criterion : str
        The stress that counts: "von_mises", or "max_principal" for materials that crack at grain boundaries.
    temperature_tolerance : temperature difference
        By how much the temperature may be off; it widens the interval.

    Raises
    ------
    RequirementError
        If a case states no temperature.
    MissingPropertyError
        If a material has no curve.

    Source: Larson and Miller, Trans. ASME 74 (1952) 765-775.
    """
    return CreepLife(
        on=on,  # type: ignore[arg-type]
        case=case,
        excluding=excluding,  # type: ignore[arg-type]
        criterion=criterion,
        temperature_tolerance=temperature_tolerance,
    )


def creep_margin(
    duration: Any,
    *,
    on: str | Selection | None = None,
    case: str | None = None,
    excluding: str | Selection | None = None,
    criterion: str = "von_mises",
    temperature_tolerance: Any = 0.0,
) -> CreepMargin:
    """Stress that breaks in a time over the stress there is, the smallest over the place.

    The factor on the load, temperature being as it is, at which rupture comes just then.

    Parameters
    ----------
    duration : time
        Such as "100000 h".
    on, case, excluding, criterion, temperature_tolerance
        As `creep_life`.
    """
    return CreepMargin(
        duration=duration,
        on=on,  # type: ignore[arg-type]
        case=case,
        excluding=excluding,  # type: ignore[arg-type]
        criterion=criterion,
        temperature_tolerance=temperature_tolerance,
    )
