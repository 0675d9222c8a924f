"""Test of life: damage at the whole surface from the load histories a part is put through."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from designtwin.criteria.verdict import Verdict
from designtwin.errors import MissingPropertyError, ModelError, UnitError, did_you_mean
from designtwin.fatigue.curves import SNCurve, fatigue_curve
from designtwin.fatigue.mean_stress import MeanStress
from designtwin.io.logs import SensorLog
from designtwin.model.model import Model
from designtwin.plain import Plain
from designtwin.progress import track
from designtwin.prototype.refine import error_by_cell
from designtwin.prototype.tests import PrototypeTest
from designtwin.requirements import Requirement
from designtwin.requirements.lines import HotSpotStress
from designtwin.results import StaticResult
from designtwin.results.life import LifeCase, LifeResult, UnitStress
from designtwin.typing import FloatArray
from designtwin.units import show, show_time, to_si, unit_of

_PER = ("force", "moment", "pressure", "acceleration", "temperature_difference", "length", "dimensionless")
"""What a channel may measure, in the order in which a unit is tried."""
_PAUSE = 10.0
"""Times the usual step of a log beyond which nothing was logged in between."""


@dataclass(frozen=True, kw_only=True)
class UnitCase(Plain):
    """The load case that a channel scales; see `unit_case`.

    Parameters
    ----------
    case : str
    per : float
        Reading at which the case acts as it is stated, SI.
    dimension : str
        Of the reading, a key of `designtwin.units`.
    """

    case: str
    per: float
    dimension: str


def unit_case(case: str, *, per: Any) -> UnitCase:
    """The load case that a channel of a log scales: ``unit_case("pull", per="1 kN")``.

    Parameters
    ----------
    case : str
        A load case of the model, or a combination.
    per : quantity or number
        The reading at which the case acts as it is stated: "5 kN" where the case pulls with 5 kN; a plain
        number where the channel has no unit.

    Raises
    ------
    ModelError
        If `per` is none, or zero.
    """
    if not isinstance(case, str) or not case:
        raise ModelError(f"unit_case({case!r}): the name of a load case is wanted")
    for dimension in _PER if isinstance(per, str) else ("dimensionless",):
        try:
            value = to_si(per, dimension, name="per")
        except UnitError:
            continue
        if not isinstance(value, float) or not np.isfinite(value) or value == 0.0:
            raise ModelError(f"unit_case({case!r}, per={per!r}): one reading other than zero is wanted")
        return UnitCase(case=case, per=value, dimension=dimension)
    raise ModelError(
        f"unit_case({case!r}, per={per!r}): a force, moment, pressure, acceleration, temperature "
        "difference, length or plain number is wanted, such as '1 kN'"
    )


@dataclass(frozen=True, eq=False, kw_only=True)
class LifeTest(PrototypeTest):
    """Damage at every surface point from the histories of load channels; see `PrototypeTest`.

    The stress of each channel's unit case is solved for once; over a history it is superposed sample by
    sample, its signed von Mises stress counted by rainflow and its cycles added up by Palmgren and Miner.
    Von Mises stress takes the sign of the sum of normal stresses, which on a free surface is that of the
    principal stress larger in size; where a point is in shear that sum says nothing, and the direction in
    which the deviator fluctuates most gives it. What lies between a signed stress and the truth where
    channels turn the principal directions a critical plane would tell.

    A history is counted as if it repeats. The model is linear: what it says of plastic strain is nothing.

    Parameters
    ----------
    curve : str, SNCurve, or mapping of part to one of these
        Of the library (`fatigue_curve_names`) or your own.
    channels : mapping of column to UnitCase
        As ``{"boom_force": unit_case("pull", per="1 kN")}``.
    constant : str or sequence of str
        Load cases that act all the time, such as gravity and preload.
    mean_stress : str or MeanStress, optional
        As of `SNCurve.correction`; not counted unless given.
    scatter : float, optional
        Standard deviation of log10 N; the curve's own unless given.
    stress : "notch", "effective notch" or hot_spot_stress(...)
        What the stress of this model at its surface is. A class of welds (FAT) is refused on "notch". On a
        model whose weld toes and roots are rounded with 1 mm the class of the effective notch goes with the
        second. ``hot_spot_stress("toe", away="+x", thickness="10 mm")`` counts at the nodes of a weld toe
        alone, the stress across it extrapolated from beside, for classes of the hot spot.
    history : SensorLog, optional
        The log that `run` judges on.
    requirements
        As ``[damage() <= 0.3, life(survival=0.975) >= "10 years"]``; none are needed for `damage`.

    Raises
    ------
    ModelError
        If cases do not exist or cannot be superposed, or a part has no curve.
    FatigueError
        If a curve was made for another kind of stress, or lacks what the mean stress correction needs.
    """

    requirements: Sequence[Requirement] = field(default=(), kw_only=False)
    curve: str | SNCurve | Mapping[str, str | SNCurve]
    channels: Mapping[str, UnitCase]
    constant: str | Sequence[str] = ()
    mean_stress: str | MeanStress | None = None
    scatter: float | None = None
    stress: str | HotSpotStress = "notch"
    history: SensorLog | None = None

    kind: ClassVar[str] = "life test"
    physics: ClassVar[str] = "life"
    loads: ClassVar[str] = "forces or pressures"
    example: ClassVar[str] = "life() >= '10 years'"

    def __post_init__(self) -> None:
        from designtwin.analysis.life import check_unit_cases

        constant = (self.constant,) if isinstance(self.constant, str) else tuple(self.constant)
        object.__setattr__(self, "constant", constant)
        if not isinstance(self.channels, Mapping) or not all(
            isinstance(one, UnitCase) for one in self.channels.values()
        ):
            raise ModelError(
                f"channels is {self.channels!r}; unit cases by column are wanted, as "
                "{'boom_force': unit_case('pull', per='1 kN')}"
            )
        object.__setattr__(self, "channels", dict(self.channels))
        if isinstance(self.requirements, Sequence) and not self.requirements:
            # Damage may be asked for without judging it.
            if not isinstance(self.model, Model):
                raise ModelError(f"LifeTest: the first argument is a Model, got {self.model!r}")
            object.__setattr__(self, "requirements", ())
        else:
            super().__post_init__()
        check_unit_cases(self.model, self._case_of, constant)
        if self.scatter is not None and (
            isinstance(self.scatter, bool)
            or not isinstance(self.scatter, int | float)
            or not 0.0 <= self.scatter < 2.0
        ):
            raise ModelError(
                f"scatter={self.scatter!r}: the standard deviation of log10 N is wanted, such as 0.2"
            )
        if isinstance(self.stress, HotSpotStress):
            self.stress.check(self.model)
            if self.stress.component != "perpendicular":
                raise ModelError(
                    "stress=hot_spot_stress(component='principal'): its direction changes from sample to "
                    "sample; damage is counted of the stress across the toe, component='perpendicular'"
                )
        elif self.stress not in ("notch", "effective notch"):
            raise ModelError(
                f"stress={self.stress!r}: the stress of a model at its surface is of kind 'notch', or "
                "'effective notch' where weld toes and roots are rounded with 1 mm; at weld toes say "
                "hot_spot_stress('toe', away='+x', thickness='10 mm')"
            )
        for part, curve in self._curves.items():
            curve.table(self.mean_stress, ultimate=self._ultimate[part])
        if self.history is not None:
            self._samples(self.history)

    @property
    def _case_of(self) -> dict[str, str]:
        return {name: one.case for name, one in self.channels.items()}

    @cached_property
    def _curves(self) -> dict[str, SNCurve]:
        """The curve of each part."""
        parts = [part.name for part in self.model.parts]
        given = self.curve
        if isinstance(given, Mapping):
            for name in given:
                if name not in parts:
                    raise ModelError(
                        f"curve names the part {name!r}{did_you_mean(str(name), parts)}; parts go by the "
                        f"names in materials: {', '.join(map(repr, parts))}"
                    )
            for name in parts:
                if name not in given:
                    raise ModelError(
                        f"part {name!r} has no curve; give one for each: curve={{{name!r}: ...}}"
                    )
            by_part = {name: given[name] for name in parts}
        else:
            by_part = dict.fromkeys(parts, given)
        out = {}
        for name, one in by_part.items():
            curve = fatigue_curve(one) if isinstance(one, str) else one
            if not isinstance(curve, SNCurve):
                raise ModelError(f"curve of part {name!r} is {one!r}; an SNCurve or its name is wanted")
            curve.check_stress("hot-spot" if isinstance(self.stress, HotSpotStress) else self.stress)
            out[name] = curve if self.scatter is None else replace(curve, scatter=float(self.scatter))
        return out

    @cached_property
    def _ultimate(self) -> dict[str, float | None]:
        """Ultimate strength of each part's material, Pa."""
        out: dict[str, float | None] = {}
        for part in self.model.parts:
            try:
                out[part.name] = float(
                    part.section.material.at("ultimate_strength", None, test="mean stress")
                )
            except MissingPropertyError:
                out[part.name] = None
        return out

    def _cases(self) -> list[str]:
        return [*self._case_of.values()]

    def _answered(self) -> list[str]:
        return [] if self.history is None else [_name_of(self.history)]

    @cached_property
    def unit(self) -> tuple[UnitStress, StaticResult]:
        """Stress of the unit cases, solved for once, and the answers it was read from."""
        return self._unit(keep=False)

    def _unit(self, *, keep: bool) -> tuple[UnitStress, StaticResult]:
        from designtwin.analysis.life import solve_unit_cases

        toes = self.stress if isinstance(self.stress, HotSpotStress) else None
        return solve_unit_cases(
            self.model, self._case_of, self.constant, toes=toes, solver=self.solver, keep=keep
        )

    def damage(self, log: SensorLog) -> LifeResult:
        """Damage by a log, at every surface point.

        Unit cases are solved for at the first log and kept.

        Parameters
        ----------
        log : SensorLog
            With a column for each channel, of the unit's dimension.

        Returns
        -------
        LifeResult

        Raises
        ------
        ModelError
            If a column is missing, or the log has a single instant.
        UnitError
            If a column is of another dimension than the unit case, or has no unit where that has one.
        SingularSystemError, ConvergenceError
            As `solve_static`.
        """
        if not isinstance(log, SensorLog):
            raise ModelError(f"damage wants a log, as read_log gives it; got {type(log).__name__}")
        samples = self._samples(log)
        duration, notes = _logged(log)
        with track(f"{self.kind} {self.name}".rstrip(), total=2) as progress:
            progress.step("solve unit cases")
            unit, result = self.unit
            cases = [result[name] for name in result.cases]
            progress.step(f"count {samples.shape[1]:,} samples at {len(unit.rows):,} points")
            start = time.perf_counter()
            case = LifeCase(
                name=_name_of(log), model=self.model, recovery=cases[0].recovery, unit=unit, samples=samples,
                duration=duration, curves=self._curves, mean_stress=self.mean_stress, ultimate=self._ultimate,
                info=cases[0].info, source=log.source, residual=max(abs(one.residual) for one in cases),
                imbalance=max(abs(one.imbalance) for one in cases),
                energy_error=max(one.energy_error for one in cases),
            )  # fmt: skip
            case = case.counted()
        seconds = {**case.info.seconds, "count": time.perf_counter() - start}
        still = (
            f"channel {name!r} never changes in {log.source}: is its sensor alive?"
            for name, series in zip(self.channels, samples, strict=True) if np.ptp(series) == 0.0
        )  # fmt: skip
        notes = (*result.notes, *getattr(log, "notes", ()), *notes, *still, *case.doubts())
        case = replace(case, info=replace(case.info, seconds=seconds), notes=notes)
        return LifeResult(self.model, {case.name: case}, notes)

    def _samples(self, log: SensorLog) -> FloatArray:
        """Channels over what their unit cases stand for, float64[channels, samples]."""
        if len(log) < 2 or not (np.diff(log.times) > 0.0).all():
            why = "two or more are wanted" if len(log) < 2 else "each is to be later than the one before"
            raise ModelError(f"the log {log.source or '(no file)'} has {len(log)} instants; {why}")
        out = np.empty((len(self.channels), len(log)))
        for i, (name, one) in enumerate(self.channels.items()):
            # A number without unit would be taken as SI: force in kN would count as a thousandth of itself.
            if log[name].unit is None and one.dimension != "dimensionless":
                raise UnitError(
                    f"channel {name!r}: its column of {log.source or 'the log'} has no unit, its unit case "
                    f"is per {show(one.per, one.dimension)}; say in which unit it is: "
                    f"read_log(..., units={{{name!r}: {unit_of(one.dimension)!r}}})"
                )
            out[i] = log[name].si(one.dimension, name=f"channel {name!r}") / one.per
        return out

    def _solve(self, *, keep: bool = False) -> Any:
        if self.history is None:
            raise ModelError(
                "a life test is run on a history: LifeTest(..., history=log), or call damage(log) for a "
                "result without a verdict"
            )
        if keep and "unit" not in self.__dict__:
            self.__dict__["unit"] = self._unit(keep=True)
        return self.damage(self.history)

    def _error_by_cell(self, result: Any, case: str) -> FloatArray | None:
        """Of the unit cases, as their channels fluctuate and what is constant acts."""
        _, static = self.unit
        spread = result[case].samples.var(axis=1)
        weights = [*zip(self._case_of.values(), spread, strict=True), *((one, 1.0) for one in self.constant)]
        total = np.zeros(self.model.mesh.n_cells)
        for name, weight in weights:
            found = error_by_cell(static, name)
            if found is None:
                return None
            total += weight * found
        return total

    def run(self, **options: Any) -> Verdict:
        """Damage by the history, judged; see `PrototypeTest.run`.

        Raises
        ------
        ModelError
            If there is no history, or no requirement.
        """
        if not self.requirements:
            raise ModelError(
                f"a life test without requirements decides nothing; give at least one, e.g. {self.example}, "
                "or call damage(log)"
            )
        return super().run(**options)


def _name_of(log: SensorLog) -> str:
    return Path(log.source).stem or "history"


def _logged(log: SensorLog) -> tuple[float, tuple[str, ...]]:
    """Time that a log stands for, s: pauses in it are no use that was logged."""
    step = np.diff(log.times)
    usual = float(np.median(step))
    pauses = step > _PAUSE * usual
    span = float(log.times[-1] - log.times[0]) + usual
    if not pauses.any():
        return span, ()
    lost = float((step[pauses] - usual).sum())
    found = f"{int(pauses.sum()):,} pauses in the log, {show_time(lost)} in all, count"
    if pauses.sum() == 1:
        found = f"a pause of {show_time(lost)} in the log counts"
    used = show_time(span - lost)
    return span - lost, (f"{log.source}: {found} as no time: life is counted in logged time ({used})",)
