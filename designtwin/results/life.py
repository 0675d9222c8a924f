"""Damage and life at every surface point, from the histories of load channels or from random vibration."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, ClassVar, Literal

import numpy as np

from designtwin import parallel
from designtwin.errors import DesignTwinError, ModelError, did_you_mean
from designtwin.fatigue.curves import SNCurve
from designtwin.fatigue.mean_stress import MeanStress
from designtwin.fatigue.multiaxial import CriticalPlane, critical_plane
from designtwin.kernels import damage as kernels
from designtwin.mesh.landmarks import landmark
from designtwin.model.materials import Orthotropic
from designtwin.model.model import Model
from designtwin.progress import track
from designtwin.results.common import CaseResult, Field, Result, SolveInfo
from designtwin.results.history import StaticResult
from designtwin.results.modal_sums import VON_MISES
from designtwin.results.recovery import Recovery
from designtwin.results.tables import Table
from designtwin.typing import BoolArray, FloatArray, IntArray, PlainData
from designtwin.units import show

SIGNED = "signed von Mises"
IN_SHEAR = 0.1
"""Root mean square of the sum of normal stresses over that of von Mises stress below which a point is in
shear, and the sign of the sum says nothing."""
_FEW = 256
"""Points whose interval is computed at a time."""
_AT_ONCE = 100_000_000
"""Samples times points that are counted between two looks at the clock."""
_APART = 0.05
"""Share of the size of the part within which two hot spots are one."""
_DAY = 86400.0


@dataclass(frozen=True, eq=False)
class UnitStress:
    """Stress at the points where damage is counted, per unit of each channel.

    Parameters
    ----------
    rows : int64[k]
        Rows of ``points``: the surface; all of a plane model.
    channels : tuple of str
        Of the last there is one more stress where something is constant.
    stress : float64[m, k, 6]
        Pa per unit of each channel.
    error : float64[m, k]
        Half-width of each as a tensor (Frobenius), Pa.
    cases : tuple of tuple of str
        Load cases that each stress is of, the constant ones added up; empty where it is read in another way
        than at the rows themselves.
    static : StaticResult, optional
        Answers of these cases.
    """

    rows: IntArray
    channels: tuple[str, ...]
    stress: FloatArray
    error: FloatArray
    cases: tuple[tuple[str, ...], ...] = ()
    static: StaticResult | None = None

    @cached_property
    def roots(self) -> FloatArray:
        """Triangles float64[k, r, m] with |root @ channels| the von Mises stress; r is at most 5.

        The deviator has five components, each linear in the channels; a rotation of them keeps the length and
        makes a triangle. Where there are few channels it is padded to four by four, which is counted faster.
        """
        each = np.einsum("cd,mkd->kcm", VON_MISES, self.stress)
        triangle = np.asarray(np.linalg.qr(each, mode="r"))[:, :5]
        if triangle.shape[2] > 4:
            return np.ascontiguousarray(triangle)
        out = np.zeros((len(triangle), 4, 4))
        out[:, : triangle.shape[1], : triangle.shape[2]] = triangle
        return out

    def signs(self, samples: FloatArray) -> tuple[FloatArray, BoolArray]:
        """Form float64[k, m] whose sign von Mises stress takes, and which points are in shear, bool[k].

        The sum of normal stresses (on a free surface its sign is that of the principal stress larger in
        size); in shear the direction of the deviator in which it fluctuates most.

        Parameters
        ----------
        samples : float64[m, samples]
            Of the channels, padded as `roots` are.
        """
        roots = self.roots
        form = np.zeros((len(roots), roots.shape[2]))
        form[:, : len(self.stress)] = self.stress[:, :, :3].sum(axis=2).T
        size = samples @ samples.T / samples.shape[1]
        of_sum = np.einsum("km,mn,kn->k", form, size, form)
        of_mises = np.einsum("kcm,mn,kcn->k", roots, size, roots, optimize=True)
        shear = of_sum < IN_SHEAR**2 * of_mises
        if shear.any():
            mean = samples.mean(axis=1)
            spread = np.einsum("kcm,mn,kdn->kcd", roots[shear], size - np.outer(mean, mean), roots[shear])
            main = np.linalg.eigh(spread)[1][:, :, -1]
            along = np.einsum("kc,kcm->km", main, roots[shear])
            # Towards tension, as far as there is any; otherwise along the channel that counts most.
            side = np.einsum("km,mn,kn->k", along, size, form[shear])
            most = np.take_along_axis(along, np.abs(along).argmax(axis=1)[:, None], axis=1)[:, 0]
            level = np.sqrt(of_sum[shear] * np.einsum("km,mn,kn->k", along, size, along))
            side = np.where(np.abs(side) > 1e-6 * level, side, most)
            form[shear] = along * np.where(side < 0.0, -1.0, 1.0)[:, None]
        return form, shear


@dataclass(frozen=True, eq=False, repr=False)
class LifeCase(CaseResult):
    """Damage by one history at every surface point.

    Damage is that of one pass through the history, the cycles counted as if it repeats: 1 is failure. Inside
    the part nothing is counted: damage 0 there, an infinite life.

    Parameters
    ----------
    name : str
        Of the history.
    model : Model
    recovery : Recovery
    unit : UnitStress
    samples : float64[channels, samples]
        Histories of the channels, each over what its unit case stands for.
    duration : float
        Time that the history stands for, s.
    curves : mapping of part to SNCurve
    mean_stress : str or MeanStress, optional
    ultimate : mapping of part to float or None
        Strengths of the materials, Pa, for mean stress corrections that ask for one.
    info : SolveInfo
    residual, imbalance, energy_error : float
        The largest of the unit cases.
    source : str
        Of the history.
    notes : tuple of str
    answer : tuple of three float64[k], optional
        Damage, smallest and largest stress at `rows`, once counted.
    """

    name: str
    model: Model
    recovery: Recovery
    unit: UnitStress
    samples: FloatArray
    duration: float
    curves: Mapping[str, SNCurve]
    mean_stress: str | MeanStress | None
    ultimate: Mapping[str, float | None]
    info: SolveInfo
    residual: float
    imbalance: float
    energy_error: float
    source: str = ""
    notes: tuple[str, ...] = ()
    answer: tuple[FloatArray, FloatArray, FloatArray] | None = None

    # Counting

    @property
    def rows(self) -> IntArray:
        """Rows of ``points`` where damage is counted."""
        return self.unit.rows

    @property
    def has_constant(self) -> bool:
        """Whether something acts all the time."""
        return len(self.unit.stress) > len(self.unit.channels)

    @property
    def _parts(self) -> IntArray:
        """Part of each row where damage is counted."""
        return np.asarray(self.points.part[self.rows])

    @cached_property
    def _channels(self) -> FloatArray:
        """Samples with the constant's ones and zeros of the padding, float64[m, samples]."""
        out = np.zeros((self.unit.roots.shape[2], self.samples.shape[1]))
        out[: len(self.samples)] = self.samples
        if self.has_constant:
            out[len(self.samples)] = 1.0
        return out

    @cached_property
    def _signs(self) -> tuple[FloatArray, BoolArray]:
        return self.unit.signs(self._channels)

    def tables(self, survival: float | None = None) -> FloatArray:
        """The curves of the parts as kernels take them, float64[parts, ...]: as stated, or at a survival.

        Raises
        ------
        ModelError
            If a probability is asked for and a part's scatter is not known.
        """
        rows = []
        for part, curve in self.curves.items():
            if survival is not None:
                curve = _at_survival(curve, survival, part)
            rows.append(curve.table(self.mean_stress, ultimate=self.ultimate[part]))
        out = np.zeros((len(rows), max(map(len, rows))))
        for i, row in enumerate(rows):
            out[i, : len(row)] = row
        return out

    def count(
        self, some: Any = slice(None), *, survival: float | None = None, by: FloatArray | None = None,
        samples: FloatArray | None = None,
    ) -> tuple[FloatArray, FloatArray, FloatArray]:  # fmt: skip
        """Damage, smallest and largest stress at some of `rows`, each float64[k].

        Parameters
        ----------
        survival : float, optional
            The curves' own unless given.
        by : float64[k, m], optional
            Factors on the stress by each channel.
        samples : float64[m, samples], optional
            Instead of the history's.
        """
        roots, signs = self.unit.roots[some], self._signs[0][some]
        if by is not None:
            roots, signs = roots * by[:, None, :], signs * by
        out = np.empty(len(roots)), np.empty(len(roots)), np.empty(len(roots))
        parallel.run(
            kernels.damage_of_histories, len(roots), np.ascontiguousarray(roots), np.ascontiguousarray(signs),
            self._parts[some], self.tables(survival), self._channels if samples is None else samples, *out,
            grain=8,
        )  # fmt: skip
        return out

    @property
    def _counted(self) -> tuple[FloatArray, FloatArray, FloatArray]:
        kept = self.counted().answer
        assert kept is not None
        return kept

    @property
    def _orthotropic(self) -> list[int]:
        """Parts whose strength depends on direction."""
        parts = self.model.parts
        return [i for i in range(len(self.curves)) if isinstance(parts[i].section.material, Orthotropic)]

    @cached_property
    def _beyond(self) -> BoolArray:
        """Where among `rows` the count says nothing: stress passes the ultimate strength, and what breaks at
        once counts no cycles, or the part is orthotropic, and von Mises stress does not rate it."""
        _, least, most = self._counted
        strengths = [
            np.inf if strength is None else strength
            for strength in (self.ultimate[part] or curve.ultimate for part, curve in self.curves.items())
        ]
        for i in self._orthotropic:
            strengths[i] = -np.inf
        return np.asarray(np.maximum(np.abs(least), np.abs(most)) > np.array(strengths)[self._parts])

    def counted(self) -> LifeCase:
        """The case with its damage counted, which it is when first asked for."""
        if self.answer is None:
            # Pieces, so that a long count can be watched and broken off.
            pieces = []
            step = max(_FEW, _AT_ONCE // max(self.samples.shape[1], 1))
            starts = range(0, len(self.rows), step)
            with track(f"rainflow at {len(self.rows):,} points", total=len(starts)) as progress:
                for start in starts:
                    progress.step()
                    pieces.append(self.count(slice(start, start + step)))
            damage, least, most = (np.concatenate(column) for column in zip(*pieces, strict=True))
            object.__setattr__(self, "answer", (damage, least, most))
        return self

    def _everywhere(self, values: FloatArray, inside: float) -> FloatArray:
        out = np.full(len(self.points), inside)
        out[self.rows] = values
        return out

    def damage_of_rows(self, survival: float | None = None) -> FloatArray:
        """Damage at `rows`, float64[k]; see `damage`."""
        if survival is None or all(curve.survival == survival for curve in self.curves.values()):
            return self._counted[0]
        kept: dict[float, FloatArray] = self.__dict__.setdefault("_at_survival", {})
        if survival not in kept:
            kept[survival] = self.count(survival=survival)[0]
        return kept[survival]

    def damage(self, survival: float | None = None) -> FloatArray:
        """Damage at the rows of ``points``, float64[k]: as the curve is stated, or at a survival.

        Raises
        ------
        ModelError
            If a probability is asked for and a part's scatter is not known.
        """
        return self._everywhere(self.damage_of_rows(survival), 0.0)

    # Error

    @cached_property
    def _relative_error(self) -> tuple[FloatArray, FloatArray]:
        """Half-widths over values at `rows`, float64[k] each: of the stress that fluctuates, of the constant.

        What each channel's stress is off by, times its standard deviation, over the root mean square of the
        von Mises stress of all that fluctuates; of one channel this is the relative error of its unit case.
        """
        m = len(self.samples)
        spread = np.cov(self.samples).reshape(m, m)
        roots = self.unit.roots[:, :, :m]
        level = np.sqrt(np.einsum("kcm,mn,kcn->k", roots, spread, roots, optimize=True))
        off = np.sqrt(1.5) * np.sqrt(np.diag(spread)) @ self.unit.error[:m]
        moving = np.divide(off, level, out=np.where(off > 0.0, np.inf, 0.0), where=level > 0.0)
        still = np.zeros(len(moving))
        if self.has_constant:
            level = np.linalg.norm(self.unit.roots[:, :, m], axis=1)
            off = np.sqrt(1.5) * self.unit.error[m]
            still = np.divide(off, level, out=np.zeros(len(off)), where=level > 0.0)
        return moving, still

    def bounds(self, some: Any = slice(None), survival: float | None = None) -> tuple[FloatArray, FloatArray]:
        """Ends of the interval of damage at some of `rows`, float64[k] each.

        Damage is counted again with all stress larger and smaller by its relative error, that of the constant
        either way. It has no upper end where stress passes the ultimate strength or the part
        is orthotropic.
        """
        moving, still = self._relative_error
        moving, still = moving[some], still[some]
        m = len(self.samples)
        own = self.damage_of_rows(survival)[some]
        low, high = own.copy(), own.copy()
        known = np.isfinite(moving)
        high[~known], low[~known] = np.inf, 0.0
        chosen = np.arange(len(self.rows))[some][known]
        for of_moving in (-1.0, 1.0):
            for of_still in (-1.0, 1.0) if self.has_constant and still.any() else (0.0,):
                by = np.ones((len(chosen), self.unit.roots.shape[2]))
                by[:, :m] = np.maximum(1.0 + of_moving * moving[known], 0.0)[:, None]
                if self.has_constant:
                    by[:, m] = 1.0 + of_still * still[known]
                found = self.count(chosen, survival=survival, by=by)[0]
                low[known] = np.minimum(low[known], found)
                high[known] = np.maximum(high[known], found)
        high[self._beyond[some]] = np.inf
        return low, high

    def rough_bounds(self, survival: float | None = None) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Damage at `rows` and ends of its interval by the steepest slope of the curve, without counting."""
        own = self.damage_of_rows(survival)
        off, slopes = self._relative_error[0], self.tables()[:, 4::3].max(axis=1)[self._parts]
        with np.errstate(over="ignore", invalid="ignore"):
            return own, own * np.maximum(1.0 - off, 0.0) ** slopes, own * (1.0 + off) ** slopes

    def worst(
        self, among: BoolArray | None = None, survival: float | None = None
    ) -> tuple[int, float, float, int]:
        """Number in `rows` of the worst point, the interval of the largest damage, whose end it is.

        Another point may overtake it within its own interval: those that can, by the steepest slope of the
        curve, are counted too.

        Parameters
        ----------
        among : bool[k], optional
            Of `rows`, those that count.
        """
        own = self.damage_of_rows(survival)
        _, least, most = self._counted
        counts = np.ones(len(own), bool) if among is None else among
        best = int(np.argmax(np.where(counts, own, -1.0)))
        grow = 1.0 + self._relative_error[0]
        slopes = self.tables()[:, 4::3].max(axis=1)[self._parts]
        with np.errstate(over="ignore", invalid="ignore"):
            could = np.where(counts, np.maximum(own, 1e-300) * grow**slopes, -1.0)
            reach = np.where(counts, (most - least) * grow, -1.0)
        # Points without damage may have some if their stress is larger: those of largest range are looked at.
        order = np.argsort(-reach)[:_FEW]
        low, high, whose = -np.inf, -np.inf, best
        broken = np.flatnonzero(self._beyond & counts)[:1]  # one is enough, its damage has no upper end
        queue = np.concatenate([[best], broken, order, np.argsort(-could)])
        _, first = np.unique(queue, return_index=True)
        queue = queue[np.sort(first)]
        queue = queue[counts[queue]]
        for start in range(0, len(queue), _FEW):
            some = queue[start : start + _FEW]
            if start >= 2 * _FEW and could[some].max() < high:
                break
            lows, highs = self.bounds(some, survival)
            low = max(low, float(lows.max()))
            if highs.max() > high:
                high, whose = float(highs.max()), int(some[highs.argmax()])
        return best, low, high, whose

    # Fields

    @property
    def field_names(self) -> tuple[str, ...]:
        return ("damage", "life", "von_mises", "stress_range")

    def field(self, name: str) -> Field:
        """A field by name: damage, life (s), von_mises (the largest over the history), stress_range (of it,
        signed)."""
        if name == "damage":
            return Field(
                name, "Damage", self.damage(), "dimensionless", error=self._damage_error,
                error_at=self._damage_error,
            )  # fmt: skip
        if name == "life":
            with np.errstate(divide="ignore"):
                values = self.duration / self.damage()
            return Field(name, "Life", values, "life")
        if name == "von_mises":
            largest = np.maximum(np.abs(self._counted[1]), np.abs(self._counted[2]))
            return Field(
                name, "Von Mises stress, largest over the history", self._everywhere(largest, 0.0), "pressure"
            )
        if name == "stress_range":
            between = self._counted[2] - self._counted[1]
            return Field(name, "Range of signed von Mises stress", self._everywhere(between, 0.0), "pressure")
        hint = did_you_mean(name, self.field_names, n=2) or f"; there are: {', '.join(self.field_names)}"
        raise DesignTwinError(f"there is no field {name!r}{hint}")

    def _damage_error(self, rows: IntArray | None = None) -> FloatArray:
        """At some rows of `points`, at all by default; zero where no damage is counted."""
        some = np.arange(len(self.rows)) if rows is None else np.flatnonzero(np.isin(self.rows, rows))
        low, high = self.bounds(some)
        own = self._counted[0][some]
        with np.errstate(invalid="ignore"):
            half = np.fmax(high - own, own - low)  # of equal infinities fmax takes the other
        out = np.zeros(len(self.rows))
        out[some] = np.where(np.isnan(half), 0.0, half)
        out = self._everywhere(out, 0.0)
        return out if rows is None else out[rows]

    # One point

    def history(self, row: int) -> FloatArray:
        """Signed von Mises stress at a row of ``points`` over the history, float64[samples], Pa."""
        at = self._number_of(row)
        own = self.unit.roots[at] @ self._channels
        return np.asarray(np.copysign(np.sqrt((own**2).sum(axis=0)), self._signs[0][at] @ self._channels))

    def stress_history(self, row: int) -> FloatArray:
        """Stress tensor at a row of ``points`` over the history, float64[samples, 6], Pa."""
        unit = self.unit.stress[:, self._number_of(row)]
        m = len(self.samples)
        return np.asarray(self.samples.T @ unit[:m] + unit[m:].sum(axis=0))

    def _number_of(self, row: int) -> int:
        at = np.flatnonzero(self.rows == row)
        if not len(at):
            raise DesignTwinError(f"row {row} is not on the surface: no history is counted there")
        return int(at[0])

    def governing(self, some: IntArray) -> tuple[list[str], FloatArray]:
        """The channel without whose fluctuation most of the damage goes, at some of `rows`, and
        that share."""
        own = self._counted[0][some]
        left = np.empty((len(self.samples), len(some)))
        for i in range(len(self.samples)):
            held = self._channels.copy()
            held[i] = held[i].mean()
            left[i] = self.count(some, samples=held)[0]
        best = left.argmin(axis=0)
        with np.errstate(divide="ignore", invalid="ignore"):
            saved = np.where(own > 0.0, 1.0 - left[best, np.arange(len(some))] / own, 0.0)
        return [self.unit.channels[i] for i in best], np.asarray(saved)

    def separate(self, n: int) -> IntArray:
        """Numbers in `rows` of the worst points, each the largest around, the worst first."""
        own = self._counted[0]
        everywhere = self._everywhere(own, 0.0)
        around = everywhere.copy()
        for _, _, rows in self.points.cells:
            np.maximum.at(around, rows.ravel(), np.repeat(everywhere[rows].max(axis=1), rows.shape[1]))
        peaks = np.flatnonzero((own > 0.0) & (own >= around[self.rows]))
        peaks = peaks[np.argsort(-own[peaks], kind="stable")]
        chosen: list[int] = []
        xyz = self.points.xyz[self.rows]
        for peak in peaks:
            if len(chosen) == n:
                break
            near = np.linalg.norm(xyz[chosen] - xyz[peak], axis=1) if chosen else np.array([np.inf])
            if near.min() > _APART * self.mesh.size:
                chosen.append(int(peak))
        return np.array(chosen, np.int64)

    def scaled(self, factors: Mapping[str, float]) -> LifeCase:
        """The same history with some channels times a factor."""
        if not isinstance(factors, Mapping):
            raise ModelError(f"{factors!r}: factors on channels are wanted, as {{'boom_force': 0.9}}")
        for name, factor in factors.items():
            if name not in self.unit.channels:
                hint = did_you_mean(name, self.unit.channels) or "."
                raise ModelError(
                    f"there is no channel {name!r}{hint} There are: {', '.join(self.unit.channels)}"
                )
            if isinstance(factor, bool) or not isinstance(factor, int | float) or not np.isfinite(factor):
                raise ModelError(f"{name}={factor!r}: a factor is wanted, such as 0.9")
        by = np.array([float(factors.get(name, 1.0)) for name in self.unit.channels])
        said = ", ".join(f"{name} times {factor:g}" for name, factor in factors.items())
        return replace(self, samples=self.samples * by[:, None], notes=(*self.notes, said), answer=None)

    def doubts(self) -> tuple[str, ...]:
        """What should make a reader careful: points in shear, stress beyond yield or beyond the curve."""
        out = []
        shear = int(self._signs[1].sum())
        if shear:
            out.append(
                f"at {shear:,} of {len(self.rows):,} points shear prevails: signed von Mises stress has "
                "there the sign of the direction in which the deviator fluctuates most"
            )
        _, least, most = self._counted
        largest = np.maximum(np.abs(least), np.abs(most))
        reach = (most - least) / 2.0
        for i, (part, curve) in enumerate(self.curves.items()):
            mine = self._parts == i
            material = self.model.parts[i].section.material
            if material.magnitude("yield_strength") is not None:
                strength = float(material.at("yield_strength", None, test="the note on yielding"))
                if (largest[mine] > strength).any():
                    out.append(
                        f"part {part!r}: stress reaches {show(float(largest[mine].max()), 'pressure')}, "
                        f"beyond yield at {show(strength, 'pressure')}: a linear model and an S-N curve do "
                        "not hold there; strain decides"
                    )
            if i in self._orthotropic:
                out.append(
                    f"part {part!r} is orthotropic: von Mises stress and an S-N curve do not rate it, and "
                    "damage is not bounded there; leave it out of the place"
                )
            elif self._beyond[mine].any():
                out.append(
                    f"part {part!r}: stress passes the ultimate strength: it may break at the first load, "
                    "and damage is not bounded there; test its strength first"
                )
            if (reach[mine] > curve.largest_amplitude).any():
                out.append(
                    f"part {part!r}: amplitudes reach {show(float(reach[mine].max()), 'pressure')}, where "
                    f"curve {curve.name!r} was not made (beyond {show(curve.largest_amplitude, 'pressure')})"
                )
        return tuple(out)

    def told(self) -> list[str]:
        """The history and the curves in a few lines."""
        lines = [
            f"{self.name}: {self.samples.shape[1]:,} samples over {show_life(self.duration)}"
            + (f", {self.source}" if self.source else "")
        ]
        for name, values in zip(self.unit.channels, self.samples, strict=True):
            lines.append(
                f"    channel {name}: {values.min():.4g} to {values.max():.4g} of its unit case, "
                f"standard deviation {values.std():.4g}"
            )
        lines += [f"    part {part}: {curve}" for part, curve in self.curves.items()]
        lines.append(
            f"    mean stress: {self.mean_stress or 'not counted'}; counted at {len(self.rows):,} points"
        )
        return lines


@dataclass(frozen=True, kw_only=True)
class Hotspot:
    """A place where damage is largest around.

    Parameters
    ----------
    number : int
        From 1, the worst first.
    row : int
        Of ``points``.
    node : int
    point : (x, y, z)
        m.
    near : str
        What is there in the words of a drawing, with the groups next to it.
    damage, low, high : float
        By one pass of the history, and its interval by the error of the stress.
    life : float
        s; the duration of the history over its damage.
    channel : str
        Without whose fluctuation most of the damage goes.
    share : float
        That part of the damage.
    part, curve : str
    """

    number: int
    row: int
    node: int
    point: tuple[float, float, float]
    near: str
    damage: float
    low: float
    high: float
    life: float
    channel: str
    share: float
    part: str
    curve: str

    def __str__(self) -> str:
        return (
            f"{self.number}  {show(np.array(self.point), 'length')} {self.near}: damage {self.damage:.3g} "
            f"({self.low:.2g} to {self.high:.2g}), life {show_life(self.life)} of use, {self.channel} governs"
        )


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class RemainingLife:
    """What is left after a history, if use goes on as stated: lognormal by the scatter of the curve.

    Parameters
    ----------
    usage : str
    used : LifeCase
        The history so far.
    after : LifeCase
        What repeats from here on.
    """

    usage: str
    used: LifeCase
    after: LifeCase

    def quantiles(self, *probabilities: float) -> FloatArray:
        """Time until failure has happened with each probability, s, float64[n]; 0 where it is past.

        Each curve is moved as `SNCurve.at_survival` says. The place that fails first counts, and all places
        of a part are as good as each other: one specimen is weak or strong everywhere.

        Raises
        ------
        ModelError
            If a number is no probability, or the scatter of a part is not known.
        """
        # What is weak decides; a curve that scatters more may overtake, so each part has its own.
        part = self.used._parts
        worst = np.concatenate(
            [
                mine[np.argsort(-key[mine], kind="stable")[:_FEW]]
                for mine in (np.flatnonzero(part == i) for i in range(len(self.used.curves)))
                for case in (self.used, self.after)
                for key in (case._counted[0], case._counted[2] - case._counted[1])
            ]
        )
        some = np.unique(worst)
        out = np.empty(len(probabilities))
        for i, p in enumerate(probabilities):
            if isinstance(p, bool) or not isinstance(p, int | float) or not 0.0 < p < 1.0:
                raise ModelError(f"quantiles({p!r}): a probability between 0 and 1 is wanted, such as 0.1")
            used = self.used.count(some, survival=1.0 - p)[0]
            rate = used / self.used.duration
            if self.after is not self.used:
                rate = self.after.count(some, survival=1.0 - p)[0] / self.after.duration
            left = np.where(used < 1.0, np.inf, 0.0)
            grows = (rate > 0.0) & (used < 1.0)
            left[grows] = (1.0 - used[grows]) / rate[grows]
            out[i] = left.min(initial=np.inf)
        return out

    def __str__(self) -> str:
        found = self.quantiles(0.1, 0.5, 0.9)
        lives = " / ".join(show_life(one) for one in found)
        days = " / ".join(_three(one / _DAY) for one in found)
        return f"remaining life, {self.usage}: P10 / P50 / P90 {lives} of use ({days} days if it never stops)"

    def __repr__(self) -> str:
        return f"<RemainingLife: {self}>"


@dataclass(frozen=True, eq=False, repr=False)
class LifeResult(Result[LifeCase]):
    """Damage by a history of loads; see `LifeCase` for what is counted."""

    physics: ClassVar[str] = "life"

    @property
    def case(self) -> LifeCase:
        """The history's own."""
        return next(iter(self.by_case.values()))

    @property
    def duration(self) -> float:
        """Time that the history stands for, s."""
        return self.case.duration

    def hotspots(self, n: int = 5) -> Hotspots:
        """The places that are damaged most, apart from each other, the worst first; fewer if there are fewer.

        Raises
        ------
        ModelError
            If n is no number of places.
        """
        if isinstance(n, bool) or not isinstance(n, int) or n < 1:
            raise ModelError(f"hotspots({n!r}): how many places are wanted, 1 or more?")
        case = self.case
        some = case.separate(n)
        if not len(some):
            return Hotspots((), case)
        low, high = case.bounds(some)
        channels, shares = case.governing(some)
        own = case._counted[0][some]
        found = []
        for i, at in enumerate(some):
            row = int(case.rows[at])
            node = int(case.points.node[row])
            part = self.model.parts[int(case.points.part[row])].name
            x, y, z = (float(c) for c in case.points.xyz[row])
            found.append(
                Hotspot(
                    number=i + 1, row=row, node=node, point=(x, y, z), near=str(landmark(self.mesh, node)),
                    damage=float(own[i]), low=float(low[i]), high=float(high[i]),
                    life=case.duration / float(own[i]), channel=channels[i], share=float(shares[i]),
                    part=part, curve=case.curves[part].name,
                )
            )  # fmt: skip
        return Hotspots(tuple(found), case)

    def critical_planes(
        self, n: int = 5, *, criterion: Literal["Findley", "normal stress"] = "Findley", findley: float = 0.3
    ) -> tuple[CriticalPlane, ...]:
        """The plane that is damaged most at each of `hotspots`, in their order; seconds for 10,000 samples.

        Where channels turn the principal directions this is what signed von Mises stress cannot tell. The
        history counts once, what stays open in it by halves.

        Parameters
        ----------
        n, criterion, findley
            As of `hotspots` and `fatigue.critical_plane`. Findley holds mean stress itself; normal stress is
            corrected as the test says.

        Raises
        ------
        FatigueError
            As `critical_plane`.
        """
        case = self.case
        out = []
        spots = self.hotspots(n)
        with track("critical planes", total=len(spots)) as progress:
            for spot in spots:
                progress.step(f"hot spot {spot.number} of {len(spots)}")
                plane = critical_plane(
                    case.stress_history(spot.row), case.curves[spot.part], criterion=criterion,
                    findley=findley, ultimate=case.ultimate[spot.part],
                    mean_stress=None if criterion == "Findley" else case.mean_stress,
                )  # fmt: skip
                out.append(plane)
        return tuple(out)

    def remaining(self, usage: str | Mapping[str, float] = "as logged") -> RemainingLife:
        """Life that is left after the history.

        Parameters
        ----------
        usage : str or mapping of channel to factor
            "as logged": the history repeats; ``{"boom_force": 0.9}`` with that channel times 0.9.

        Raises
        ------
        ModelError
            If a channel does not exist, or the scatter of a part is not known.
        """
        case = self.case
        for part, curve in case.curves.items():
            _need_scatter(curve, part)
        if not isinstance(usage, str):
            after = case.scaled(usage)
            said = "with " + ", ".join(f"{name} times {factor:g}" for name, factor in usage.items())
            return RemainingLife(usage=said, used=case, after=after)
        if usage != "as logged":
            raise ModelError(
                f"usage={usage!r}: say 'as logged', or factors on channels as {{'boom_force': 0.9}}"
            )
        return RemainingLife(usage="used as logged", used=case, after=case)

    def what_if(self, **factors: float) -> LifeResult:
        """The same history with some channels times a factor: ``what_if(boom_force=0.9)``; nothing is solved.

        Raises
        ------
        ModelError
            If a channel does not exist.
        """
        case = self.case.scaled(factors)
        return LifeResult(self.model, {case.name: case}, (*self.notes, *case.notes[-1:]))

    def to_dict(self, n: int = 5) -> PlainData:
        """What a report shows, plain data in SI: history, channels, curves, hot spots, notes."""
        case = self.case
        return {
            "history": {"name": case.name, "source": case.source, "samples": case.samples.shape[1],
                        "duration": case.duration},
            "channels": [
                {"name": name, "least": float(v.min()), "most": float(v.max()), "mean": float(v.mean()),
                 "deviation": float(v.std())}
                for name, v in zip(case.unit.channels, case.samples, strict=True)
            ],
            "curves": {part: str(curve) for part, curve in case.curves.items()},
            "mean_stress": str(case.mean_stress or "not counted"),
            "points": len(case.rows),
            "hotspots": [vars(spot) for spot in self.hotspots(n)],
            "notes": list(self.notes),
        }  # fmt: skip

    @property
    def tables(self) -> tuple[Table, ...]:
        """The hot spots, as the command line prints them below a verdict."""
        return (self.hotspots().table(),)

    def plot(self, name: str = "damage", **options: Any) -> Any:
        """Picture of a field, the damage unless named; see ``designtwin.viz``."""
        return self.case.plot(name, **options)

    def __str__(self) -> str:
        return "\n".join(["life result", *("  " + line for line in self.case.told()), str(self.hotspots(3))])


class Hotspots(tuple[Hotspot, ...]):
    """The worst places; prints as a table."""

    case: LifeCase

    def __new__(cls, spots: Sequence[Hotspot], case: LifeCase) -> Hotspots:
        out = super().__new__(cls, spots)
        out.case = case
        return out

    def table(self) -> Table:
        """As a table."""
        return Table(
            title=f"hot spots of {self.case.name}",
            headings=("", "place", "damage", "interval", "life in use", "governs", "curve"),
            cells=[
                (
                    str(s.number), f"{show(np.array(s.point), 'length')} {s.near}".rstrip(),
                    f"{s.damage:.3g}", f"{s.low:.2g} to {s.high:.2g}", show_life(s.life), s.channel, s.curve,
                )
                for s in self
            ],
            rows=[vars(s) for s in self],
            notes=() if self else ("nothing is damaged: no cycle is above the endurance limit",),
        )  # fmt: skip

    def __str__(self) -> str:
        return str(self.table())

    def __repr__(self) -> str:
        return str(self)

    def _repr_html_(self) -> str:
        return self.table()._repr_html_()


def _at_survival(curve: SNCurve, survival: Any, part: str) -> SNCurve:
    if isinstance(survival, bool) or not isinstance(survival, int | float) or not 0.0 < survival < 1.0:
        raise ModelError(f"survival={survival!r}: a probability between 0 and 1 is wanted, such as 0.975")
    if curve.survival == survival:
        return curve
    _need_scatter(curve, part)
    return curve.at_survival(survival)


def _need_scatter(curve: SNCurve, part: str) -> None:
    if curve.scatter is None:
        raise ModelError(
            f"part {part!r}: the scatter of {curve.name!r} is not known, so its life is known at a survival "
            f"of {100.0 * curve.survival:g} % alone; state it: LifeTest(..., scatter=0.2), the standard "
            "deviation of log10 N"
        )


def show_life(seconds: float) -> str:
    """A time of use in words, in hours from two on: "40 min", "5,470 h", "3.4e+08 h"."""
    if not np.isfinite(seconds):
        return "∞"
    unit, size = next(((u, n) for u, n in (("h", 3600.0), ("min", 60.0)) if seconds >= 2.0 * n), ("s", 1.0))
    return f"{_three(seconds / size)} {unit}"


def _three(number: float) -> str:
    """Three digits: "5,470", "0.12", "3.4e+08"."""
    if not np.isfinite(number):
        return "∞"
    number = float(f"{number:.3g}")
    return f"{number:,.0f}" if 100.0 <= number < 1e7 else f"{number:.3g}"
