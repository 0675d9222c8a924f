"""Smooth responses: a quantity as a number that has a slope, and its slope over the answer.

An extreme over a place has kinks where another point takes over. Its aggregate has none: Kreisselmeier-
Steinhauser (`ks`) or the norm of order `_NORM` (`p-norm`) over the same points. Stress is that of the cells
at their nodes, averaged over the cells of a part there, which depends on the samples in the cells alone; the
recovered stress of the verdict is a little sharper, and the quantity's own extreme stands beside it.

A quantity of your own joins by ``response_of.register(MyQuantity)``.

Sources: Kreisselmeier and Steinhauser, IFAC Proceedings 12 (1979) 113-117; Kennedy and Hicken, CMAME 289
(2015) 332-351; Le, Norato, Bruns, Ha and Tortorelli, SMO 41 (2010) 605-620.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import singledispatch
from types import SimpleNamespace
from typing import Any

import numpy as np

from designtwin.assembly.directions import Directions
from designtwin.elements import sampling
from designtwin.errors import NoAdjointError, RequirementError
from designtwin.model.magnitude import nodal
from designtwin.model.model import Model
from designtwin.model.sections import PlaneStress
from designtwin.requirements.base import Quantity, frames_of
from designtwin.requirements.compliance import ComplianceQuantity, loads_of
from designtwin.requirements.fields import (
    DisplacementQuantity,
    FieldQuantity,
    MechanicalQuantity,
    StressQuantity,
    TemperatureQuantity,
)
from designtwin.requirements.fkm import FkmMargin
from designtwin.requirements.strain import StrainQuantity
from designtwin.requirements.strength import BrittleMargin, TensorMargin, YieldMargin
from designtwin.results import stress as tensor
from designtwin.results.places import mean_weights
from designtwin.results.sensitivity import Action, DifferenceAction
from designtwin.typing import FloatArray, IntArray

AGGREGATES = ("ks", "p-norm")
WITH_ENDS = (StressQuantity, YieldMargin, BrittleMargin, TensorMargin, FkmMargin)
"""Quantities whose smooth number may be that of the ends of their intervals."""
_SHARPNESS = 50.0
"""Of the Kreisselmeier-Steinhauser function, over the spread of the values."""
_NORM = 12
_KELVIN = 1e-3
_TENSOR = 1e-5
"""Share of a stress by which criteria are differenced."""
_SPREAD = 8
"""Order of the mean that measures the spread."""
_LEAST = 0.1
"""Least share of a value, or of its end in that, with which the two count as proportional."""


@dataclass(frozen=True, eq=False, kw_only=True)
class Response:
    """A smooth number of one case, and its slope over the answer.

    Parameters
    ----------
    case : str
    value, true : float
        The smooth number; what the quantity says.
    displacement : float64[n_points, 3], optional
        Slope over displacement, per m.
    samples : float64[s, 6], optional
        Slope over stress at the sampling points of ``Recovery``, per Pa.
    strains : float64[s, 6], optional
        Slope over strain there.
    reactions : float64[n_points, 3], optional
        Slope over the force of supports and springs at each node, per N.
    held : float64[n_points], optional
        Slope over the heat that prescribed temperatures put in at each node, per W.
    temperature : float64[n_points], optional
        Slope over the temperature that a thermal analysis solves for, per K.
    loads : float64[n_points, 3], optional
        Slope over nodal forces of the case's loads, the answer fixed, per N.
    points : float64[n_points, 3], optional
        Slope over coordinates, the answer fixed, per m.
    actions : tuple of (factor, Action)
        What depends on the model itself, the answer fixed.
    """

    case: str
    value: float
    true: float
    displacement: FloatArray | None = None
    samples: FloatArray | None = None
    strains: FloatArray | None = None
    reactions: FloatArray | None = None
    held: FloatArray | None = None
    temperature: FloatArray | None = None
    loads: FloatArray | None = None
    points: FloatArray | None = None
    actions: tuple[tuple[float, Action], ...] = field(default=())


@singledispatch
def response_of(quantity: Any, result: Any, case: Any, *, aggregate: str, largest: bool) -> Response:
    """The smooth response of a quantity in one case.

    Parameters
    ----------
    quantity : Quantity
    result : Result
    case : a case of it
    aggregate : "ks" or "p-norm"
    largest : bool
        Whether the largest value is asked for, or the smallest.

    Raises
    ------
    NoAdjointError
        If the quantity has none.
    """
    label = quantity.label if isinstance(quantity, Quantity) else repr(quantity)
    raise NoAdjointError(f"no adjoint gradient is known of {label}; differences of whole analyses will do")


def steady(quantity: Quantity, case: Any) -> None:
    """Raise NoAdjointError for a case with a course in time."""
    if len(frames_of(case)) > 1:
        raise NoAdjointError(
            f"{quantity.label}: case {case.name!r} has a course in time, of which there is no adjoint here"
        )


def true_value(quantity: Quantity, result: Any, case: Any) -> float:
    """What a quantity says of one case."""
    one = replace(result, by_case={case.name: case})
    own: Any = quantity
    if getattr(quantity, "case", None) is not None:
        own = replace(own, case=None)
    return float(own._number(one, case))


# Aggregates


def aggregated(values: FloatArray, how: str, *, largest: bool, who: str) -> tuple[float, FloatArray]:
    """A smooth number near the extreme of values float64[k], and its slope over each, float64[k].

    ``ks`` follows any values: m + R / rho ln(sum exp(rho (v - m) / R)), with m their mean and R the mean of
    order 8 of |v - m|, so that it shifts and scales with the values. ``p-norm`` wants positive values and the
    largest. Both lie beyond the extreme.

    Raises
    ------
    RequirementError
        If the aggregate is unknown, or a p-norm is asked of the smallest or of what is negative.
    """
    if how not in AGGREGATES:
        raise RequirementError(f"aggregate={how!r} is unknown (known: {', '.join(AGGREGATES)})")
    n = len(values)
    if n == 1:
        return float(values[0]), np.ones(1)
    if how == "p-norm":
        if not largest or values.min() < 0.0:
            raise RequirementError(
                f"{who}: a p-norm is near the largest of what is never negative; say aggregate='ks'"
            )
        most = float(values.max())
        if most == 0.0:
            return 0.0, np.zeros(n)
        share = values / most
        total = float((share**_NORM).sum())
        return most * total ** (1.0 / _NORM), share ** (_NORM - 1) * total ** (1.0 / _NORM - 1.0)
    return shared(values, np.full(n, 1.0 / n), n, largest=largest)


def shared(values: FloatArray, share: FloatArray, count: float, *, largest: bool) -> tuple[float, FloatArray]:
    """The ``ks`` of `aggregated`, each value weighted by a share of the whole.

    Parameters
    ----------
    values : float64[k]
    share : float64[k]
        Above 0; their sum is 1.
    count : float
        Values that the whole counts as: one of share 1 / count counts in full.
    """
    if not largest:
        value, slope = shared(-values, share, count, largest=True)
        return -value, slope
    mean = float((share * values).sum())
    off = values - mean
    most = float(np.abs(off).max())
    if most <= 1e-14 * max(abs(mean), 1e-300):
        return mean, share
    scaled = off / most
    order = float((share * np.abs(scaled) ** _SPREAD).sum())
    spread = most * order ** (1.0 / _SPREAD)
    exponent = _SHARPNESS * off / spread
    top = float(exponent.max())
    weight = count * share * np.exp(exponent - top)
    total = float(weight.sum())
    above = spread / _SHARPNESS * (top + float(np.log(total)))
    weight /= total
    # over the deviations: directly, and through the spread
    by_spread = (above - float((weight * off).sum())) / spread
    of_spread = share * np.sign(scaled) * np.abs(scaled) ** (_SPREAD - 1) * order ** (1.0 / _SPREAD - 1.0)
    slope = weight + by_spread * of_spread
    return mean + above, slope + (1.0 - float(slope.sum())) * share


# Static


@response_of.register
def _(quantity: ComplianceQuantity, result: Any, case: Any, *, aggregate: str, largest: bool) -> Response:
    steady(quantity, case)
    loads = loads_of(case)
    value = float((loads * case.displacement).sum())
    return Response(
        case=case.name, value=value, true=value, displacement=loads, loads=np.asarray(case.displacement)
    )


def over_place(
    quantity: FieldQuantity, result: Any, case: Any, rows: IntArray, values: FloatArray, *,
    aggregate: str, largest: bool,
) -> tuple[float, FloatArray, tuple[tuple[float, Action], ...]]:  # fmt: skip
    """The smooth number of values on rows, its slope over them, and what depends on the model itself."""
    over = quantity.over
    if over == "mean":
        nodes = rows if quantity.location == "points" else result.points.node[rows]
        weight = mean_weights(result.model, quantity.on, nodes)

        def of(model: Any) -> float:
            return float((mean_weights(model, quantity.on, nodes) * values).sum())

        return float((weight * values).sum()), weight, ((1.0, DifferenceAction(of)),)
    if over == "max_abs":
        value, slope = aggregated(np.abs(values), aggregate, largest=largest, who=quantity.label)
        return value, slope * np.sign(values), ()
    value, slope = aggregated(values, aggregate, largest=over == "max", who=quantity.label)
    return value, slope, ()


@response_of.register
def _(quantity: DisplacementQuantity, result: Any, case: Any, *, aggregate: str, largest: bool) -> Response:
    only_static(quantity, result)
    steady(quantity, case)
    rows = quantity.rows(result)
    vectors = case.displacement[rows]
    if quantity.component == "magnitude":
        values = np.linalg.norm(vectors, axis=1)
        size = np.where(values > 0.0, values, 1.0)
        by_vector = vectors / size[:, None]
    else:
        by_vector = np.zeros_like(vectors)
        by_vector[:, "xyz".index(quantity.component)] = 1.0
        values = (vectors * by_vector).sum(axis=1)
    value, slope, actions = over_place(
        quantity, result, case, rows, values, aggregate=aggregate, largest=largest
    )
    out = np.zeros((result.model.mesh.n_points, 3))
    np.add.at(out, rows, slope[:, None] * by_vector)
    true = true_value(quantity, result, case)
    return Response(case=case.name, value=value, true=true, displacement=out, actions=actions)


def only_static(quantity: Quantity, result: Any) -> None:
    """Raise NoAdjointError for what is no static result."""
    if result.physics != "static":
        raise NoAdjointError(f"no adjoint gradient is known of {quantity.label} of a {result.physics} result")


@response_of.register
def _(
    quantity: StressQuantity, result: Any, case: Any, *, aggregate: str, largest: bool, ends: bool = False
) -> Response:  # fmt: skip
    only_static(quantity, result)
    steady(quantity, case)
    if quantity.at is not None:
        raise NoAdjointError(
            f"{quantity.label}: a point stays in space as the part moves under it; name a place, on='...'"
        )
    rows = quantity.rows(result)
    stress = case.stress("averaged")[rows]
    values, by_stress = STRESS[quantity.component](stress)
    if ends and quantity.over != "mean":
        _, low, high = quantity._field(case, rows)
        swapped = (values < 0.0) & (quantity.over == "max_abs")
        share, values = at_ends(values, np.where(swapped != largest, high, low))
        by_stress = share[:, None] * by_stress
    value, slope, actions = over_place(
        quantity, result, case, rows, values, aggregate=aggregate, largest=largest
    )
    samples = to_samples(case.recovery, rows, slope[:, None] * by_stress)
    true = true_value(quantity, result, case)
    return Response(case=case.name, value=value, true=true, samples=samples, actions=actions)


@response_of.register
def _(quantity: StrainQuantity, result: Any, case: Any, *, aggregate: str, largest: bool) -> Response:
    only_static(quantity, result)
    steady(quantity, case)
    for part in result.model.parts:
        if isinstance(part.section, PlaneStress):
            raise NoAdjointError(
                f"{quantity.label}: {part.name!r} is a sheet, which thins as its material has it, and no "
                "gradient is known of that"
            )
    rows = quantity.rows(result)
    tensors = case.strain("averaged")[rows] * tensor.ENGINEERING
    values, by_tensor = STRESS[quantity.component](tensors)
    by_strain = by_tensor * tensor.ENGINEERING
    if quantity.component in tensor.COMPONENTS[3:]:
        values, by_strain = 2.0 * values, 2.0 * by_strain
    value, slope, actions = over_place(
        quantity, result, case, rows, values, aggregate=aggregate, largest=largest
    )
    strains = to_samples(case.recovery, rows, slope[:, None] * by_strain)
    true = true_value(quantity, result, case)
    return Response(case=case.name, value=value, true=true, strains=strains, actions=actions)


@response_of.register(YieldMargin)
@response_of.register(BrittleMargin)
@response_of.register(TensorMargin)
@response_of.register(FkmMargin)
def _(
    quantity: MechanicalQuantity, result: Any, case: Any, *, aggregate: str, largest: bool, ends: bool = False
) -> Response:  # fmt: skip
    only_static(quantity, result)
    steady(quantity, case)
    rows = quantity.rows(result)
    state = AtStress(case, case.stress("averaged"))
    values, by_stress = utilization_slope(quantity, state, rows)
    share = np.ones(len(rows))
    if ends:
        _, low, high = quantity._field(case, rows)
        with np.errstate(divide="ignore"):
            share, values = at_ends(values, 1.0 / (high if largest else low))
    used, slope = aggregated(values, aggregate, largest=not largest, who=quantity.label)
    if used <= 0.0:
        raise NoAdjointError(f"{quantity.label}: nothing is stressed in case {case.name!r}")
    slope = -share * slope / used**2  # the margin is one over what is used of the strength
    samples = to_samples(case.recovery, rows, slope[:, None] * by_stress)
    solved = case.name in getattr(result, "warmed", {})
    actions: tuple[tuple[float, Action], ...] = ()
    if not case.parts:
        actions = ((1.0, StrengthAction(quantity, state, rows, slope, solved)),)
    true = true_value(quantity, result, case)
    return Response(case=case.name, value=1.0 / used, true=true, samples=samples, actions=actions)


def at_ends(values: FloatArray, ends: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Ends of intervals in place of values: the slope of each over its value, and the ends, float64[k] each.

    An interval is held as wide in proportion as it is, where that says something; as wide where it does not.
    """
    known = np.isfinite(ends)
    with np.errstate(divide="ignore", invalid="ignore"):
        share = np.where(known, ends / values, 1.0)
    return np.where((share > _LEAST) & (share < 1.0 / _LEAST), share, 1.0), np.where(known, ends, values)


class AtStress:
    """A static case as if it had another stress at its points: what a margin reads, without intervals."""

    def __init__(self, case: Any, stress: FloatArray) -> None:
        self.of, self.tensor = case, stress
        # criteria that ask for axes of the material look at where points are on the case's own model
        self.points = replace(case.points, xyz=case.model.mesh.points[case.points.node])

    def __getattr__(self, name: str) -> Any:
        return getattr(self.of, name)

    def stress(self, at: str) -> FloatArray:
        return self.tensor

    def expected_stress(self) -> None:
        return None

    def field(self, name: str) -> Any:
        named = {"von_mises": tensor.von_mises, "tresca": tensor.tresca}
        if name in named:
            values = named[name](self.tensor)
        else:
            values = tensor.principal(self.tensor)[:, int(name.removeprefix("principal_")) - 1]
        return SimpleNamespace(values=values, error=None, interval=None)


def utilization_slope(quantity: Any, state: AtStress, rows: IntArray) -> tuple[FloatArray, FloatArray]:
    """One over a margin at rows float64[k], and its slope over stress there, float64[k, 6], 1/Pa.

    A criterion is a formula of a tensor, differenced component by component where it is not von Mises' or
    Tresca's.
    """
    values = _used(quantity, state, rows)
    equivalent = {"von_mises": von_mises_slope, "tresca": tresca_slope}.get(getattr(quantity, "reads", ""))
    if equivalent is not None and not isinstance(quantity, TensorMargin | BrittleMargin):
        stress, slope = equivalent(state.tensor[rows])
        with np.errstate(divide="ignore", invalid="ignore"):
            share = np.where(stress > 0.0, values / stress, 0.0)
        return values, share[:, None] * slope
    size = np.linalg.norm(state.tensor[rows], axis=1)
    step = _TENSOR * (size + 1e-3 * float(size.max(initial=0.0)) + 1e-300)
    slope = np.empty((len(rows), 6))
    for i in range(6):
        ends = []
        for sign in (1.0, -1.0):
            beside = state.tensor.copy()
            beside[rows, i] += sign * step
            ends.append(_used(quantity, AtStress(state.of, beside), rows))
        slope[:, i] = (ends[0] - ends[1]) / (2.0 * step)
    return values, slope


def _used(quantity: Any, state: AtStress, rows: IntArray) -> FloatArray:
    with np.errstate(divide="ignore"):
        return np.asarray(1.0 / quantity._field(state, rows)[0])


@dataclass(frozen=True, eq=False)
class StrengthAction:
    """What strengths and axes of a material do to a margin, the stress fixed: the sum of left . utilization.

    Parameters
    ----------
    quantity : Quantity
    state : AtStress
    rows : int64[k]
    left : float64[k]
    solved : bool
        Whether the temperature of the case is an answer.
    """

    quantity: MechanicalQuantity
    state: AtStress
    rows: IntArray
    left: FloatArray
    solved: bool

    @property
    def case_name(self) -> str:
        return str(self.state.name)

    def along(self, directions: Directions) -> FloatArray:
        return directions.difference(self._of)

    def _of(self, model: Model) -> float:
        own = self.state.case
        there = own if self.solved else model.cases.get(own.name, own)
        return self._at(model=model, case=there)

    def _at(self, **changed: Any) -> float:
        beside = AtStress(replace(self.state.of, **changed), self.state.tensor)
        return float((_used(self.quantity, beside, self.rows) * self.left).sum())

    def by_temperature(self) -> FloatArray:
        """Slope over nodal temperature, float64[n_points]; tables are linear between their knots."""
        state, out = self.state.case.temperature, np.zeros(self.state.mesh.n_points)
        if state is None:
            return out
        kelvin, ends = state.at_nodes(self.state.model), []
        for by in (_KELVIN, -_KELVIN):
            warm = replace(self.state.case, temperature=replace(state, value=nodal(kelvin + by)))
            beside = AtStress(replace(self.state.of, case=warm), self.state.tensor)
            ends.append(_used(self.quantity, beside, self.rows))
        slope = self.left * (ends[0] - ends[1]) / (2.0 * _KELVIN)
        np.add.at(out, self.state.points.node[self.rows], slope)
        return out


@response_of.register
def _(quantity: TemperatureQuantity, result: Any, case: Any, *, aggregate: str, largest: bool) -> Response:
    steady(quantity, case)
    rows = quantity.rows(result)
    value, slope, actions = over_place(
        quantity, result, case, rows, case.temperature[rows], aggregate=aggregate, largest=largest
    )
    out = np.zeros(result.model.mesh.n_points)
    np.add.at(out, rows, slope)
    true = true_value(quantity, result, case)
    return Response(case=case.name, value=value, true=true, temperature=out, actions=actions)


# Stress


def to_samples(recovery: Any, rows: IntArray, slope: FloatArray) -> FloatArray:
    """Slope over stress at sampling points float64[s, 6], from that over the averaged stress at rows [k, 6].

    The transpose of ``Recovery.mean``.
    """
    count = np.zeros(len(recovery.points))
    for _, _, conn in recovery.points.cells:
        count += np.bincount(conn.ravel(), minlength=len(count))
    at_rows = np.zeros((len(recovery.points), 6))
    at_rows[rows] = slope / np.maximum(count[rows], 1.0)[:, None]
    parts = [
        np.einsum("ns,cnk->csk", sampling(block.element.name)[1], at_rows[conn]).reshape(-1, 6)
        for block, (_, _, conn) in zip(recovery.blocks, recovery.points.cells, strict=True)
    ]
    return np.concatenate(parts)


def von_mises_slope(stress: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Von Mises stress float64[k] and its slope over the components, float64[k, 6]; 0 where nothing is."""
    value = tensor.von_mises(stress)
    mean = stress[:, :3].mean(axis=1, keepdims=True)
    slope = np.concatenate([1.5 * (stress[:, :3] - mean), 3.0 * stress[:, 3:]], axis=1)
    with np.errstate(divide="ignore", invalid="ignore"):
        slope = np.where(value[:, None] > 0.0, slope / value[:, None], 0.0)
    return value, slope


def principal_slope(stress: FloatArray, number: int) -> tuple[FloatArray, FloatArray]:
    """A principal stress float64[k] (0 the largest) and its slope; of one of them where two are equal."""
    values, vectors = np.linalg.eigh(tensor.tensors(stress))
    n = vectors[..., 2 - number]
    square = n * n
    both = 2.0 * np.stack([n[:, 0] * n[:, 1], n[:, 1] * n[:, 2], n[:, 0] * n[:, 2]], axis=1)
    return np.asarray(values[:, 2 - number]), np.concatenate([square, both], axis=1)


def tresca_slope(stress: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Tresca stress float64[k] and its slope, float64[k, 6]."""
    first, by_first = principal_slope(stress, 0)
    third, by_third = principal_slope(stress, 2)
    return first - third, by_first - by_third


def _component(number: int) -> Callable[[FloatArray], tuple[FloatArray, FloatArray]]:
    def slope(stress: FloatArray) -> tuple[FloatArray, FloatArray]:
        out = np.zeros_like(stress)
        out[:, number] = 1.0
        return stress[:, number], out

    return slope


def _principal(number: int) -> Callable[[FloatArray], tuple[FloatArray, FloatArray]]:
    return lambda stress: principal_slope(stress, number)


STRESS: dict[str, Callable[[FloatArray], tuple[FloatArray, FloatArray]]] = {
    "von_mises": von_mises_slope,
    "tresca": tresca_slope,
    "max_principal": _principal(0),
    **{f"principal_{i + 1}": _principal(i) for i in range(3)},
    **{name: _component(i) for i, name in enumerate(tensor.COMPONENTS)},
}
"""Numbers of a stress tensor float64[k, 6] with their slopes."""
