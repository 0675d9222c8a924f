"""Strength under temperatures that are solved for first."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from designtwin.errors import ModelError, did_you_mean
from designtwin.model.model import Model, Temperature
from designtwin.prototype.tests import StrengthTest
from designtwin.units import show, show_time, to_si

_TOLD = 1e-3
"""K: smaller errors of a temperature have no number in a note."""


@dataclass(frozen=True, eq=False)
class ThermalStressTest(StrengthTest):
    """A strength test some of whose load cases are as warm as thermal cases of the same model come out.

    Parameters
    ----------
    warmed : mapping of load case to thermal case, or to (thermal case, time)
        Such as ``{"hot": "full power"}`` or ``{"hot": ("full power", "9 min")}``. The load case states a
        `Temperature`, whose reference holds; its value is replaced by what is solved. Over time without an
        instant the load case is a history.
    heat : mapping, optional
        Of heat over time: duration, initial and the other options of `ThermalTest`; steady unless given.
    solved : function, optional
        Gives the thermal result where another test has it already.

    Raises
    ------
    ModelError
        If a case does not exist, is not thermal, or states no temperature to be replaced.
    """

    warmed: Mapping[str, str | tuple[str, Any]] = field(default_factory=dict)
    heat: Mapping[str, Any] = field(default_factory=dict)
    solved: Callable[[], Any] | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        model = self.model
        # For all cases alike: supports of heat are those of every case.
        thermal = [name for name, case in model.cases.items() if case.is_thermal or model.heat_supports]
        told = {}
        for name, source in self.warmed.items():
            of, time = _source(source)
            if name not in model.cases or model.cases[name].temperature is None:
                raise ModelError(f"case {name!r} states no Temperature that could be solved for")
            if of not in thermal:
                raise ModelError(
                    f"case {name!r} is as warm as thermal case {of!r}, and there is no such case"
                    f"{did_you_mean(str(of), thermal)}; cases with heat: {', '.join(thermal) or 'none'}"
                )
            if time is not None:
                time = float(to_si(time, "time", name="time"))
                end = self.heat.get("duration")
                if end is None:
                    raise ModelError(
                        f"case {name!r}: thermal case {of!r} is steady and has no instant "
                        f"{show_time(time)}; give a duration, or leave time out"
                    )
                if not 0.0 <= time <= float(to_si(end, "time", name="duration")):
                    raise ModelError(
                        f"case {name!r}: heat is followed for {end}, and {show_time(time)} is not within"
                    )
            told[name] = (of, time)
        object.__setattr__(self, "warmed", told)

    def _thermal(self, keep: bool) -> Any:
        """The thermal result of this very model."""
        from designtwin import analysis

        known = None if self.solved is None else self.solved()
        if known is not None and known.model is self.model:
            return known
        if not self.heat:
            return analysis.solve_thermal(self.model, solver=self.solver, keep=keep)
        return analysis.solve_transient(self.model, solver=self.solver, keep=keep, **self.heat)

    def _solve(self, *, keep: bool = False) -> Any:
        from designtwin import analysis

        thermal, model, notes = self._thermal(keep), self.model, list[str]()
        for name, source in self.warmed.items():
            of, time = _source(source)
            case = thermal[of] if time is None else thermal[of].at(time)
            model = _warmed(model, name, case)
            error = getattr(case, "temperature_error", None)  # of a state; a course has one at each instant
            most = "" if error is None or error < _TOLD else f", {show(error, 'temperature_difference')},"
            at = "" if time is None else f" at {show_time(time)}"
            notes.append(
                f"case {name}: as warm as thermal case {of}{at}; the error of these temperatures{most} is "
                "not in the intervals of what it strains"
            )
        result = analysis.solve_static(model, solver=self.solver, keep=keep)
        warmed = {name: (thermal, *_source(source)) for name, source in self.warmed.items()}
        return replace(result, notes=(*result.notes, *notes), warmed=warmed)


def _source(given: str | tuple[str, Any]) -> tuple[str, Any]:
    """Thermal case and instant."""
    return (given, None) if isinstance(given, str) else given


def _warmed(model: Model, name: str, temperature: Any) -> Model:
    """The model with one case as warm as a thermal answer."""
    case = model.cases[name]
    assert case.temperature is not None
    state = Temperature(temperature, reference=case.temperature.reference)
    return model.with_case(name, [state if item is case.temperature else item for item in case.items])
