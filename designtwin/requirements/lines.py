"""Stress along a line through a wall, taken apart into membrane, bending and peak; stress at a weld toe."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from designtwin import units
from designtwin.elements import ELEMENTS
from designtwin.errors import RequirementError, SelectionError
from designtwin.mesh.interfaces import project
from designtwin.mesh.locate import locate
from designtwin.mesh.selections import Selection, select
from designtwin.model.coordinates import unit_vector
from designtwin.requirements.base import Quantity, ValuesAlone, one_of
from designtwin.requirements.fields import tensor_at
from designtwin.requirements.values import Value, place_of_point
from designtwin.results import stress as tensor
from designtwin.typing import BoolArray, FloatArray, IntArray

if TYPE_CHECKING:
    from designtwin.model.model import Model

_SAMPLES = 97
"""Points along a line, odd for Simpson's rule: exact for cubic stress, not for kinks between cells."""
_KINDS = {
    "membrane": "membrane stress",
    "bending": "bending stress",
    "membrane+bending": "membrane plus bending stress",
    "peak": "peak stress",
    "total": "total stress",
}
Point = tuple[float, float, float]


def point_of(given: Any, name: str) -> Point:
    """Three coordinates, m, of a point given by two or three lengths."""
    found = np.asarray(units.to_si(given, "length", name=name))
    if found.shape not in ((2,), (3,)):
        raise RequirementError(
            f"{name}={given!r} is no point; give (x, y, z), such as ('10 mm', '0 mm', '5 mm')"
        )
    x, y, z = (float(c) for c in np.resize(np.append(found, 0.0), 3))
    return x, y, z


@dataclass(frozen=True, kw_only=True)
class SampledStress(Quantity):
    """A stress made of what is read at a few points of a static case."""

    needs: ClassVar[str] = "static"
    dimension: ClassVar[str] = "stress"
    case: str | None = None

    def __post_init__(self) -> None:
        if self.case is not None and not isinstance(self.case, str):
            raise RequirementError(f"case={self.case!r} is no name of a load case; None means all of them")

    def _number(self, result: Any, state: Any) -> float:
        return self._of_state(result, ValuesAlone(state)).value


@dataclass(frozen=True, kw_only=True)
class LinearizedStress(SampledStress):
    """Von Mises stress of a part of the stress along a line; see `linearized_stress`."""

    from_: Any
    to: Any
    kind: str = "membrane+bending"
    bending: str = "5-A"

    def __post_init__(self) -> None:
        super().__post_init__()
        one_of(self.kind, tuple(_KINDS), "kind")
        one_of(self.bending, ("5-A", "all"), "bending")
        for name in ("from_", "to"):
            object.__setattr__(self, name, point_of(getattr(self, name), name))
        if self.from_ == self.to:
            raise RequirementError("linearized_stress: the line has no length; from_ and to are one point")

    @property
    def label(self) -> str:
        ends = " to ".join(units.show(np.array(end), "length") for end in (self.from_, self.to))
        every = ", bending of all components" if self.bending == "all" else ""
        return f"{_KINDS[self.kind]} from {ends}{every}" + (f" in case '{self.case}'" if self.case else "")

    def check(self, model: Model) -> None:
        self.line(model.mesh)

    def line(self, mesh: Any) -> tuple[FloatArray, list[Any]]:
        """Points along the line float64[n, 3], m, and where they lie."""
        share = np.linspace(0.0, 1.0, _SAMPLES)[:, None]
        xyz = np.array(self.from_) * (1.0 - share) + np.array(self.to) * share
        try:
            return xyz, locate(mesh, xyz)
        except SelectionError as error:
            raise RequirementError(
                f"{self.label}: the line must run inside the part from surface to surface; {error}"
            ) from error

    def by_case(self, result: Any) -> list[Value]:
        cases = self.cases_of(result)
        xyz, places = self.line(result.model.mesh)
        rows, weights = rows_and_weights(result.points, places)
        return [self._of_case(result, case, xyz, rows, weights) for case in cases]

    def _of_case(self, result: Any, case: Any, xyz: FloatArray, rows: IntArray, weights: FloatArray) -> Value:
        stress, center, radius = tensor_at(case, rows.ravel())
        off = np.einsum("pn,pn->p", np.abs(weights), radius.reshape(rows.shape))
        line = np.array(self.to) - np.array(self.from_)
        (parts, _), (expected, spread) = (
            linearized(
                np.einsum("pn,pnc->pc", weights, one.reshape(*rows.shape, 6)),
                off,
                line,
                self.kind,
                self.bending,
            )
            for one in (stress, center)
        )
        equivalent, likely = tensor.von_mises(parts), tensor.von_mises(expected)
        half = math.sqrt(1.5) * spread
        end = int(np.argmax(equivalent))
        mesh = result.model.mesh
        at = 0.5 * (xyz[0] + xyz[-1]) if len(parts) == 1 else xyz[(0, -1)[end]]
        return Value.between(
            float(equivalent[end]),
            max(float(np.max(likely - half)), 0.0),
            float(np.max(likely + half)),
            place=place_of_point(mesh, at),
            case=case.name,
        )


def linearized(
    stress: FloatArray, radius: FloatArray, line: FloatArray, kind: str, bending: str = "5-A"
) -> tuple[FloatArray, FloatArray]:
    """The wanted part of the stress along a straight line, as a tensor at both ends (membrane: one tensor).

    Membrane is the mean over the length t, bending at the ends ``6/t^2`` times the integral of stress times
    the distance from the middle, peak what is left there.

    Parameters
    ----------
    stress : float64[n, 6]
        At n evenly spaced points from end to end, n odd, Pa.
    radius : float64[n]
        Half-widths, Frobenius norm, Pa.
    line : float64[3]
        From the first to the last point.
    kind : str
        "membrane", "bending", "membrane+bending", "peak" or "total".
    bending : str
        "5-A": of the components across the line alone (hoop, meridional, torsion), as the annex has it;
        "all".

    Returns
    -------
    parts : float64[1 or 2, 6]
        Pa.
    spreads : float64[1 or 2]
        Half-widths: errors along the line are taken to conspire. The projection across the line is a
        contraction, so that it does not add to them.

    Source: ASME BPVC VIII-2 (2021), annex 5-A, 5-A.4.1 (stress integration method);
    curvature of the wall is left out, as there.
    """
    along, bent, turn = line_shares(len(stress), line, kind, bending)
    parts = along @ stress + bent @ stress @ turn.T
    # across the line a point counts with both shares, along it with that of no bending (or both, by "all")
    spreads = np.abs(along + bent)
    if bending == "5-A" and kind != "bending":
        spreads = np.maximum(spreads, np.abs(along))
    if kind == "peak":  # the error at the end, and that of what is taken away there
        linear = linearized(stress, radius, line, "membrane+bending", bending)[1]
        return parts, linear + radius[[0, -1]]
    return parts, spreads @ radius


def line_shares(
    n: int, line: FloatArray, kind: str, bending: str = "5-A"
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Shares of n points along a line in the wanted part of the stress; arguments as `linearized`.

    Returns
    -------
    along, bent : float64[1 or 2, n]
        What counts in full, and what counts in bending.
    turn : float64[6, 6]
        What takes bending from a tensor: those components across the line, or all.
    """
    simpson = np.ones(n)
    simpson[1:-1:2], simpson[2:-1:2] = 4.0, 2.0
    mean = simpson / simpson.sum()
    lever = 6.0 * (0.5 - np.linspace(0.0, 1.0, n)) * mean  # 6/t^2 (t/2 - x) dx at the first end
    turn = np.eye(6)
    if bending == "5-A":
        across = np.eye(3) - np.outer(line, line) / float(line @ line)
        turned = across @ tensor.tensors(np.eye(6)) @ across
        turn = np.stack([turned[:, i, j] for i, j in ((0, 0), (1, 1), (2, 2), (0, 1), (1, 2), (0, 2))])
    if kind == "membrane":
        return mean[None], np.zeros((1, n)), turn
    ends, membrane, none = np.stack([lever, -lever]), np.stack([mean, mean]), np.zeros((2, n))
    whole = np.eye(n)[[0, -1]]
    return {
        "bending": (none, ends, turn),
        "membrane+bending": (membrane, ends, turn),
        "total": (whole, none, turn),
        "peak": (whole - membrane, -ends, turn),
    }[kind]


def rows_and_weights(points: Any, places: Sequence[Any]) -> tuple[IntArray, FloatArray]:
    """Result points int64[p, n] and shape functions float64[p, n] at places in cells; padded by weight 0."""
    wanted = np.array([place.cell for place in places])
    row_of: dict[int, IntArray] = {}
    for _, ids, rows in points.cells:
        some = np.flatnonzero(np.isin(ids, wanted))
        row_of.update(zip(ids[some].tolist(), rows[some], strict=True))
    shapes = [ELEMENTS[place.element].shape(place.xi)[0] for place in places]
    width = max(len(shape) for shape in shapes)
    out, weights = np.zeros((len(places), width), np.int64), np.zeros((len(places), width))
    for i, (place, shape) in enumerate(zip(places, shapes, strict=True)):
        out[i, : len(shape)], weights[i, : len(shape)] = row_of[place.cell], shape
    return out, weights


# ---------------------------------------------------------------------------------------------------
# Weld toes
# ---------------------------------------------------------------------------------------------------


_NEAR = 60.0
"""Degrees from square to the toe within which a principal stress counts."""


@dataclass(frozen=True)
class Extrapolation:
    """Where stress is read beside a toe, in thicknesses or m; what each counts; the largest cells allowed."""

    at: tuple[float, ...]
    factors: tuple[float, ...]
    by_thickness: bool
    largest_cell: float
    kind: str


METHODS = {
    "0.4t 1.0t": Extrapolation((0.4, 1.0), (1.67, -0.67), True, 0.4, "a"),
    "0.4t 0.9t 1.4t": Extrapolation((0.4, 0.9, 1.4), (2.52, -2.24, 0.72), True, 0.4, "a"),
    "0.5t 1.5t": Extrapolation((0.5, 1.5), (1.5, -0.5), True, 1.0, "a"),
    "4 8 12 mm": Extrapolation((4e-3, 8e-3, 12e-3), (3.0, -3.0, 1.0), False, 4e-3, "b"),
    "5 15 mm": Extrapolation((5e-3, 15e-3), (1.5, -0.5), False, 10e-3, "b"),
}
"""Source: Hobbacher, IIW Recommendations for Fatigue Design of Welded Joints and Components, 2nd ed. (2016),
sec. 2.2.3: type a on a plate's surface, type b on its edge."""


@dataclass(frozen=True, kw_only=True)
class HotSpotStress(SampledStress):
    """Structural stress at a weld toe; see `hot_spot_stress`."""

    toe: Any
    away: Any
    thickness: Any = None
    method: str = "0.4t 1.0t"
    component: str = "perpendicular"
    over: str = "max_abs"

    def __post_init__(self) -> None:
        super().__post_init__()
        one_of(self.method, tuple(METHODS), "method")
        one_of(self.component, ("perpendicular", "principal"), "component")
        one_of(self.over, ("max_abs", "max", "min"), "over")
        named = isinstance(self.toe, str | Selection)
        object.__setattr__(self, "toe", select(self.toe) if named else point_of(self.toe, "toe"))
        object.__setattr__(self, "away", unit_vector(self.away, name="away"))
        by_thickness = METHODS[self.method].by_thickness
        if by_thickness and self.thickness is None:
            raise RequirementError(
                f"method={self.method!r} reads at shares of the plate's thickness: give thickness='10 mm'"
            )
        if self.thickness is not None:
            if not by_thickness:
                raise RequirementError(
                    f"method={self.method!r} reads at fixed distances on a plate's edge; leave thickness out"
                )
            t = units.to_si(self.thickness, "length", name="thickness")
            if not isinstance(t, float) or t <= 0.0:
                raise RequirementError(f"thickness={self.thickness!r}: one length is wanted, such as '10 mm'")
            object.__setattr__(self, "thickness", t)

    @property
    def label(self) -> str:
        where = str(self.toe) if isinstance(self.toe, Selection) else units.show(np.array(self.toe), "length")
        word = "hot-spot stress" if self.component == "perpendicular" else "hot-spot principal stress"
        sign = {"max_abs": "", "max": "largest ", "min": "smallest "}[self.over]
        return f"{sign}{word} at {where} ({self.method})" + (f" in case '{self.case}'" if self.case else "")

    @property
    def largest_governs(self) -> bool:
        return self.over != "min"

    def check(self, model: Model) -> None:
        self.reading(model)

    def reading(self, model: Model) -> tuple[FloatArray, Any]:
        """Toes float64[m, 3], m, and their reading points projected on the surface: all those of one toe
        after the other, as many as the method has factors.

        Raises
        ------
        RequirementError
            If a reading point does not lie on the surface of the part.
        """
        mesh = model.mesh
        toes = (
            mesh.points[model.region(self.toe).nodes]
            if isinstance(self.toe, Selection)
            else np.array([self.toe])
        )
        how = METHODS[self.method]
        distances = np.array(how.at) * (self.thickness if how.by_thickness else 1.0)
        xyz = toes[:, None] + distances[None, :, None] * np.array(self.away)
        found = project(mesh, mesh.exterior, xyz.reshape(-1, 3))
        far = found.distance > 0.1 * float(distances[0])
        if far.any():
            bad = int(np.argmax(found.distance))
            raise RequirementError(
                f"{self.label}: the reading point {units.show(xyz.reshape(-1, 3)[bad], 'length')} is "
                f"{units.show(float(found.distance[bad]), 'length')} off the surface; away={self.away} "
                "must lead along the plate's surface from the toe, and the surface must reach so far"
            )
        return toes, found

    def extrapolated(
        self, case: Any, toes: FloatArray, rows: IntArray, weights: FloatArray
    ) -> tuple[FloatArray, FloatArray]:
        """Stress tensors at toes float64[m, 6] and their half-widths float64[m], Frobenius norm, Pa.

        Parameters
        ----------
        case : StaticCase
        toes : float64[m, 3]
        rows, weights : int64[p, n], float64[p, n]
            Result points of the reading points, as `placed` gives them.
        """
        stress, center, half = self._read(case, toes, rows, weights)
        return stress, half + tensor.norm(center - stress)

    def _read(
        self, case: Any, toes: FloatArray, rows: IntArray, weights: FloatArray
    ) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Stress at toes, and the center and radius about which the exact one is expected."""
        factors = np.array(METHODS[self.method].factors)
        stress, center, radius = tensor_at(case, rows.ravel())
        off = np.einsum("pn,pn->p", np.abs(weights), radius.reshape(rows.shape)).reshape(len(toes), -1)
        at_toe, expected = (
            np.einsum("f,mfc->mc", factors, read.reshape(len(toes), -1, 6))
            for read in (
                np.einsum("pn,pnc->pc", weights, one.reshape(*rows.shape, 6)) for one in (stress, center)
            )
        )
        return at_toe, expected, off @ np.abs(factors)

    def placed(self, result: Any) -> tuple[FloatArray, IntArray, FloatArray, IntArray]:
        """Toes float64[m, 3], m; of their reading points result points and weights; the cell of each."""
        toes, found = self.reading(result.model)
        cells = result.model.mesh.exterior[found.row, 0]
        return toes, _rows_of_nodes(result.points, cells, found.nodes), found.weights, cells

    def by_case(self, result: Any) -> list[Value]:
        cases = self.cases_of(result)
        mesh = result.model.mesh
        toes, rows, weights, cells = self.placed(result)
        # cells at the first reading point of each toe, by which the mesh is measured
        first = np.unique(cells.reshape(len(toes), -1)[:, 0])
        size = max(float(np.ptp(mesh.points[mesh.cell(int(one))[1]] @ np.array(self.away))) for one in first)
        return [self._of_case(result, case, toes, rows, weights, size) for case in cases]

    def _of_case(
        self, result: Any, case: Any, toes: FloatArray, rows: IntArray, weights: FloatArray, size: float
    ) -> Value:
        how = METHODS[self.method]
        at_toe, expected, half = self._read(case, toes, rows, weights)
        value, (_, low, high) = self._component(at_toe, 0.0 * half)[0], self._component(expected, half)
        low, high = np.minimum(low, value), np.maximum(high, value)
        signed = value
        if self.over == "max_abs":
            low, high = (
                np.where((low < 0.0) & (high > 0.0), 0.0, np.minimum(np.abs(low), np.abs(high))),
                np.maximum(np.abs(low), np.abs(high)),
            )
            value = np.abs(value)
        pick = np.min if self.over == "min" else np.max
        i = int(np.argmin(value) if self.over == "min" else np.argmax(value))
        notes = []
        if self.over == "max_abs" and signed[i] < 0.0:
            notes.append(f"magnitude; it is {units.show(float(signed[i]), 'stress')} there")
        asked = how.largest_cell * (self.thickness if how.by_thickness else 1.0)
        if size > 1.25 * asked:
            notes.append(
                f"cells are {units.show(size, 'length', digits=2)} long where it is read; {self.method} asks "
                f"for {units.show(asked, 'length', digits=2)} at most"
            )
        return Value.between(
            float(value[i]), float(pick(low)), float(pick(high)),
            place=place_of_point(result.model.mesh, toes[i]), case=case.name, note="; ".join(notes),
        )  # fmt: skip

    def _principal(self, stress: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Principal stresses float64[m, 3], ascending, their directions [m, 3, 3] in columns, and the angles
        of these with `away`, float64[m, 3], degrees."""
        values, vectors = np.linalg.eigh(tensor.tensors(stress))
        along = np.abs(np.einsum("a,mai->mi", np.array(self.away), vectors))
        return values, vectors, np.degrees(np.arccos(np.minimum(along, 1.0)))

    def normals(self, stress: FloatArray) -> FloatArray:
        """Along which the stress counts at toes whose tensors are float64[m, 6]: unit vectors [m, 3]."""
        out = np.tile(np.array(self.away), (len(stress), 1))
        if self.component == "principal":
            values, vectors, angle = self._principal(stress)
            best, some = _largest_that_counts(values, angle <= _NEAR)
            out[some] = vectors[np.arange(len(out)), :, best][some]
        return out

    def _component(self, stress: FloatArray, half: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Stress across the toe, or the principal stress that counts, with its bounds, float64[m] each."""
        full = tensor.tensors(stress)
        away = np.array(self.away)
        across = np.einsum("a,mab,b->m", away, full, away)
        if self.component == "perpendicular":
            return across, across - half, across + half
        values, _, slope = self._principal(stress)
        # directions turn by no more than asin(error over the gap to the next value) (Davis and Kahan)
        gap = np.abs(values[:, :, None] - values[:, None, :]) + np.where(np.eye(3, dtype=bool), np.inf, 0.0)
        with np.errstate(divide="ignore", invalid="ignore"):
            turn = np.degrees(
                np.arcsin(np.minimum(np.nan_to_num(half[:, None] / gap.min(axis=2), nan=0.0), 1.0))
            )
        counts, may = slope <= _NEAR, slope - turn <= _NEAR
        value = across.copy()
        row, best, some = np.arange(len(value)), *_largest_that_counts(values, counts)
        value[some] = values[row, best][some]
        # whatever might be the one that counts holds the true one
        low = np.minimum(np.where(may, values, np.inf).min(axis=1), value)
        high = np.maximum(np.where(may, values, -np.inf).max(axis=1), value)
        sure = some & (may == counts).all(axis=1) & (_runner_up(np.abs(values), counts, best) > 2.0 * half)
        low, high = (
            np.where(sure, value, np.minimum(low, across)),
            np.where(sure, value, np.maximum(high, across)),
        )
        return value, low - half, high + half


def _largest_that_counts(values: FloatArray, counts: BoolArray) -> tuple[IntArray, BoolArray]:
    """Which of values [m, 3] that count is largest in size, int64[m], and where there is any, bool[m]."""
    return np.argmax(np.where(counts, np.abs(values), -1.0), axis=1), np.asarray(counts.any(axis=1))


def _runner_up(values: FloatArray, counts: Any, best: IntArray) -> FloatArray:
    """How far the largest of the values that count is above the next, float64[m]; inf where it is alone."""
    row = np.arange(len(values))
    rest = np.where(counts, values, -np.inf)
    rest[row, best] = -np.inf
    return np.asarray(values[row, best] - rest.max(axis=1))


def _rows_of_nodes(points: Any, cells: IntArray, nodes: IntArray) -> IntArray:
    """Result points int64[p, n] of nodes, in the part of the given cell of each."""
    part_of: dict[int, int] = {}
    for _, ids, rows in points.cells:
        some = np.flatnonzero(np.isin(ids, cells))
        part_of.update(zip(ids[some].tolist(), points.part[rows[some, 0]].tolist(), strict=True))
    part = np.array([part_of[int(cell)] for cell in cells])
    order = np.lexsort([points.part, points.node])
    n_parts = int(points.part.max()) + 1
    key = points.node[order] * n_parts + points.part[order]
    return np.asarray(order[np.searchsorted(key, nodes * n_parts + part[:, None])])


def linearized_stress(
    from_: Sequence[Any],
    to: Sequence[Any],
    kind: str = "membrane+bending",
    *,
    case: str | None = None,
    bending: str = "5-A",
) -> LinearizedStress:
    """Von Mises stress of the membrane, bending or peak part of the stress along a line through a wall, Pa.

    ASME VIII-2 limits it (5.2.2.4, with the allowable stress S of the material at temperature): general
    membrane to S, local membrane to S_PL (1.5 S, or the yield strength where it is larger and the code
    permits), membrane plus bending of mechanical loads to S_PL, primary plus secondary range to S_PS (3 S,
    or twice the yield strength). Which of these a line must meet is the engineer's to say.

    Parameters
    ----------
    from_, to : (x, y, z)
        Ends of the line on the two surfaces of the wall, square to its middle; m or with units. It must run
        inside the part, and clear of singular corners.
    kind : str
        "membrane", "bending", "membrane+bending", "peak" (what is left at the ends) or "total". Where there
        are two ends the worse one counts.
    case : str, optional
        One load case; the envelope of all unless given.
    bending : str
        "5-A": bending of the components across the line alone, as annex 5-A has it; "all" of them.

    Raises
    ------
    RequirementError
        If the line leaves the part or has no length.

    Source: ASME BPVC VIII-2 (2021), annex 5-A; see `linearized`.
    """
    return LinearizedStress(from_=from_, to=to, kind=kind, case=case, bending=bending)


def hot_spot_stress(
    toe: str | Selection | Sequence[Any],
    away: Any,
    thickness: Any = None,
    *,
    method: str = "0.4t 1.0t",
    component: str = "perpendicular",
    over: str = "max_abs",
    case: str | None = None,
) -> HotSpotStress:
    """Structural stress at a weld toe, extrapolated from the surface beside it, Pa.

    The stress right at the toe is that of a notch without a radius and means nothing; what the plate brings
    there is read at some distance. Compare its range with a FAT class for hot-spot stress.

    Parameters
    ----------
    toe : (x, y, z), group name or selection
        A point of the toe, or the nodes along it, of which the worst counts.
    away : direction
        From the toe along the plate's surface, square to the toe: "+x" or three numbers.
    thickness : length
        t of the plate, where the method reads at shares of it.
    method : str
        Type a, on the surface: "0.4t 1.0t" (fine mesh: cells of 0.4 t at most), "0.4t 0.9t 1.4t" (fine, where
        stress bends, as beside thick attachments), "0.5t 1.5t" (quadratic cells as large as the plate is
        thick). Type b, on a plate's edge: "4 8 12 mm" (cells of 4 mm), "5 15 mm" (quadratic cells of 10
        mm). Cells that are larger are told in the note.
    component : str
        "perpendicular": the stress along `away`; "principal": the principal stress largest in magnitude of
        those within 60 degrees of it.
    over : str
        "max_abs" of the toes (a positive number); "max" and "min" keep signs.
    case : str, optional
        One load case; the envelope of all unless given.

    Raises
    ------
    RequirementError
        If a reading point is not on the surface.

    Source: Hobbacher, IIW Recommendations for Fatigue Design of Welded Joints and Components, 2nd ed. (2016),
    sec. 2.2.3. Misalignment, if any, is to be put on top (sec. 3.8).
    """
    return HotSpotStress(
        toe=toe, away=away, thickness=thickness, method=method, component=component, over=over, case=case
    )
