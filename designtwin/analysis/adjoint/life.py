"""Slopes of damage and life: of each cycle over its two turning points, of these over the stress of each
channel, and of that over the part by the adjoint of each unit case.

The cycles that rainflow counts stay what they are while nothing changes by much; where two cycles trade their
turning points damage has a kink. Stress is that of the cells, averaged at each row, as for other stresses
(`requirements.responses`); the largest damage over a place is the norm of order `_NORM` of all.

Source: Downing and Socie, Int. J. Fatigue 4 (1982) 31-40 (cycles of histories).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from designtwin import parallel
from designtwin.analysis.adjoint.static import static_sensitivities
from designtwin.errors import NoAdjointError
from designtwin.kernels import damage as kernels
from designtwin.requirements.life import DamageQuantity, LifeQuantity
from designtwin.requirements.responses import Response, to_samples, von_mises_slope
from designtwin.results.life import LifeCase
from designtwin.results.sensitivity import Sensitivity
from designtwin.typing import FloatArray, IntArray

_NORM = 4
"""Order of the norm of damage, which itself goes with the third to fifth power of stress, and more."""
_SHARE = 1e-4
"""Damage over the largest below which a point does not count in that norm."""
_AT_ONCE = 2_000_000
"""Samples times points whose stress tensors are held at once."""


def sensitivities(result: Any, quantity: DamageQuantity) -> list[Sensitivity]:
    """Slope of the largest damage, or the shortest life, over a place; see `designtwin.sensitivities`."""
    cases = quantity.cases_of(result)
    return [_sensitivity(quantity, case, _counted(result, quantity, case)) for case in cases]


def smooth_values(result: Any, quantity: DamageQuantity) -> list[tuple[str, float]]:
    """Name of each history and its smooth damage, or life, s."""
    return [(case.name, _counted(result, quantity, case).value) for case in quantity.cases_of(result)]


@dataclass(frozen=True, eq=False)
class _Counted:
    """Smooth damage or life by one history.

    Parameters
    ----------
    value, true : float
    of_damage : float
        Slope of the value over the smooth damage.
    weights : float64[k]
        Slope of the smooth damage over that at each point that counts.
    case : LifeCase
        With the averaged stress at these points alone.
    """

    value: float
    true: float
    of_damage: float
    weights: FloatArray
    case: LifeCase


def _counted(result: Any, quantity: DamageQuantity, case: LifeCase) -> _Counted:
    if case.unit.static is None or not case.unit.cases:
        raise NoAdjointError(
            f"{quantity.label}: no gradient is known of damage at weld toes, nor of stress that was not "
            "solved for; differences of whole analyses will do"
        )
    among = np.flatnonzero(np.isin(case.rows, quantity.rows(result)))
    true = float(case.damage_of_rows(quantity.survival)[among].max())
    stress = _averaged(case, case.rows[among])
    unit = replace(case.unit, rows=case.rows[among], stress=stress, error=np.zeros(stress.shape[:2]))
    whole = replace(case, unit=unit, answer=None)
    damage = whole.count(survival=quantity.survival)[0]
    most = float(damage.max())
    if not (np.isfinite(most) and most > 0.0):
        raise NoAdjointError(
            f"{quantity.label}: history {case.name!r} "
            + ("does no damage, whose slope is zero" if most == 0.0 else "breaks the part at once")
            + "; another load or curve is wanted for a gradient"
        )
    some = np.flatnonzero(damage >= _SHARE * most)
    share = damage[some] / most
    total = float((share**_NORM).sum())
    value = most * total ** (1.0 / _NORM)
    weights = share ** (_NORM - 1) * total ** (1.0 / _NORM - 1.0)
    few = replace(
        case, unit=replace(unit, rows=unit.rows[some], stress=unit.stress[:, some], error=unit.error[:, some])
    )
    if isinstance(quantity, LifeQuantity):
        with np.errstate(divide="ignore"):
            life = float(case.duration / np.float64(true))
        return _Counted(case.duration / value, life, -case.duration / value**2, weights, few)
    return _Counted(value, true, 1.0, weights, few)


def _averaged(case: LifeCase, rows: IntArray) -> FloatArray:
    """Stress at rows by each channel, each cell's own averaged, float64[m, k, 6]."""
    static = case.unit.static
    assert static is not None
    return np.array(
        [
            sum(np.asarray(static[name].stress("averaged"))[rows] for name in group)
            for group in case.unit.cases
        ]
    )


def _sensitivity(quantity: DamageQuantity, case: LifeCase, counted: _Counted) -> Sensitivity:
    static = case.unit.static
    assert static is not None
    slopes = counted.of_damage * _slopes(quantity, counted)
    responses = [
        Response(
            case=name, value=counted.value, true=counted.true,
            samples=to_samples(static[name].recovery, counted.case.rows, slope),
        )
        for slope, group in zip(slopes, case.unit.cases, strict=True) for name in group
    ]  # fmt: skip
    found = static_sensitivities(static, quantity, responses)
    total = found[0]
    for one in found[1:]:
        total = total + one
    return replace(total, model=case.model, case=case.name)


def _slopes(quantity: DamageQuantity, counted: _Counted) -> FloatArray:
    """Slope of the smooth damage over the stress of each channel at the points that count, [m, k, 6]."""
    case = counted.case
    unit, tables = case.unit.stress, case.tables(quantity.survival)
    channels, form = case._channels, case._signs[0]
    parts, m = case._parts, len(unit)
    out = np.zeros(unit.shape)
    step = max(1, _AT_ONCE // channels.shape[1])
    for start in range(0, unit.shape[1], step):
        some = slice(start, min(start + step, unit.shape[1]))
        stress = np.einsum("mt,mkc->ktc", channels[:m], unit[:, some])
        k, n = stress.shape[:2]
        size, by_stress = von_mises_slope(stress.reshape(k * n, 6))
        side = np.copysign(1.0, form[some] @ channels)
        history = np.ascontiguousarray(side * size.reshape(k, n))
        damage, slopes = np.empty(k), np.empty_like(history)
        parallel.run(kernels.damage_slopes, k, history, parts[some], tables, damage, slopes, grain=1)
        by_sample = counted.weights[some, None] * slopes * side
        by_stress = by_sample[..., None] * by_stress.reshape(k, n, 6)
        out[:, some] = np.einsum("mt,ktc->mkc", channels[:m], by_stress)
    return out
