"""Pictures of results: a field on the deformed part, what governs, where it fails.

The defaults are those of a page in a report: the worst load case unless one is named, a stated scale of
deformation, the undeformed outline, the extreme values where they are, the limit and the regions beyond it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np

from designtwin import units
from designtwin.errors import PictureError, did_you_mean
from designtwin.mesh import Mesh
from designtwin.requirements import (
    BucklingFactor,
    DisplacementQuantity,
    FieldQuantity,
    Outcome,
    Quantity,
    StressQuantity,
    TemperatureQuantity,
    TimeTo,
    Value,
    ValuesAlone,
    YieldMargin,
    show_value,
)
from designtwin.requirements.fields import MechanicalQuantity
from designtwin.requirements.life import DamageQuantity, LifeQuantity
from designtwin.requirements.vibration import ModeQuantity
from designtwin.results.buckling import BucklingCase, BucklingMode
from designtwin.results.modal import ModalCase
from designtwin.results.places import region_rows
from designtwin.results.shapes import Shape
from designtwin.typing import BoolArray, FloatArray, IntArray
from designtwin.viz import flow
from designtwin.viz.geometry import (
    Sampler,
    Segments,
    Skin,
    Triangles,
    contour,
    cut_triangles,
    join_segments,
    section,
    tubes,
)
from designtwin.viz.instants import instant, times_of, worst_instant
from designtwin.viz.page import Box, Page, compose, format_ticks
from designtwin.viz.picture import PathLike, Picture, check_path, finish
from designtwin.viz.scene import ALARM, FAINT, INK, Body, Callout, Line, Scale, Scene, nice_step
from designtwin.viz.view import look_at

Size = tuple[int, int]
Isotherms = bool | int | Sequence[Any] | None

STRESS = "#eef2f6:#a9cfe6:#63b4cf:#74c48a:#f3d64a:#f59b33:#de4a2a:#8c0f2e"
MOVED = "#eef2f6:#bfe0e0:#79c2c9:#3f97b5:#2a649b:#33307a"
SAFETY = "#8c0f2e:#de4a2a:#f59b33:#f3d64a:#a6d489:#63b4cf:#a9cfe6:#dde8f0"
SIGNED = "#1f3f7f:#3f7fb8:#8fbfdc:#f1f3f5:#f3b48f:#d9583b:#8c0f2e"
HEAT = "#3b4cab:#6f7fd0:#a9b3e0:#e3dcd3:#f6c177:#ee8a4a:#cf3f35:#8c0f2e"

GLOBAL = ("length", "temperature")  # what a sharp corner leaves bounded
LEAST = ("safety_factor", "life")  # fields of which the least is the worst
MOST_SAFETY = 5.0  # safety factors beyond are all the same to the eye
DEFORMED = 0.06  # of the part's size: what the largest displacement is drawn as
NO_NUMBER = "singular: no number"
MOST_DECADES = 8  # on a logarithmic scale
MOST_ZONES = 5  # that get a label


@dataclass(frozen=True, eq=False)
class Shown:
    """A scalar field of one case in display units, at the rows of a skin.

    Parameters
    ----------
    name, title, dimension : str
    values : float64[k]
        Display units.
    error : function
        Of a row, in display units; None where unknown. It often costs more than all values, and few are told.
    node : int64[k]
        Mesh point of each row.
    cells : sequence of (element name, cell ids, rows)
    judged : bool[k]
        False where a requirement leaves rows out.
    case : Any
        The case result.
    outcome : Outcome, optional
        The requirement on this field that governs.
    span : float
        How long the course in time is that the case is an instant of, s; 0 where there is none.
    singular : bool[k], optional
        True about places whose value grows without end as the mesh is refined: what is computed there is no
        number.
    """

    name: str
    title: str
    dimension: str
    values: FloatArray
    error: Callable[[int], float | None]
    node: IntArray
    cells: Sequence[tuple[str, IntArray, IntArray]]
    judged: BoolArray
    case: Any
    outcome: Outcome | None = None
    span: float = 0.0
    singular: BoolArray | None = None

    @property
    def time(self) -> float | None:
        """The instant drawn, s; None for a state without a course in time."""
        return getattr(self.case, "time", None) if self.span > 0.0 else None

    @property
    def clock(self) -> str:
        """The instant in words, "" where there is none."""
        return "" if self.time is None else units.show_time(self.time, self.span)

    @property
    def on_surface(self) -> bool:
        """Whether there is nothing inside of the part: damage is counted on its surface."""
        return self.name in ("damage", "life")

    @property
    def excluded(self) -> str:
        """What is not judged, in words."""
        return self.outcome.excluded if self.outcome is not None else ""


def plot_field(
    source: Any,
    name: str | Quantity = "von_mises",
    *,
    case: str | None = None,
    screenshot: PathLike | None = None,
    deformed: bool | float | None = None,
    zones: bool | Sequence[Any] | None = None,
    mesh_edges: bool = False,
    cut_plane: tuple[Any, Any] | str | None = None,
    window_size: Size = (1600, 1200),
    camera: str | Sequence[float] | None = None,
    limits: tuple[float, float] | None = None,
    at: Any = None,
    isotherms: Isotherms = None,
    arrows: bool | int = False,
    show: bool | None = None,
    title: str | None = None,
) -> Picture:
    """Draw a field.

    Parameters
    ----------
    source : Verdict, result or case result
        A verdict brings its limits and failure zones with it.
    name : str or Quantity
        A field of the result, such as "von_mises", or a quantity such as ``yield_margin()``. Of a quantity of
        modes, such as ``frequency(1)``, the shape of the mode is drawn. Fields of modes are relative: a mode
        has no size of its own.
    case : str, optional
        Load case; the one with the worst value by default.
    screenshot : path, optional
        PNG, JPEG, WebP, TIFF, PDF or SVG by its ending; the folder is made.
    deformed : bool or float, optional
        True for a scale found automatically, a number for that scale, False for none. By default True where
        the result has displacements.
    zones : bool or sequence of FailureZone, optional
        Regions to outline; a verdict's own by default.
    mesh_edges : bool
        Draw the outlines of all cells.
    cut_plane : (normal, point) or "x", "y", "z", optional
        Take away what lies in front of a plane and show the cut; a letter cuts through the worst place.
    window_size : (width, height)
        Pixels.
    camera : str or [3], optional
        "iso", "+x", "front" and the like, or the direction to look from; by default one that sees
        the worst place.
    limits : (low, high), optional
        Ends of the color bar in display units.
    at : time, optional
        The instant of a case that has a course in time, such as "10 min"; by default the worst.
        "envelope" for the worst of every point, where the result has that (statics over time).
    isotherms : bool, int or sequence of temperatures, optional
        Lines of equal temperature: about so many, or these, such as ["60 degC", "95 degC"]; False for none.
        By default at the ticks of the color bar.
    arrows : bool or int
        Arrows along the heat flux, about 500 or so many over the whole skin; of a cut those in its plane.
    show : bool, optional
        True opens a window (or an interactive view in a notebook) if there is a screen; False shows nothing.
        By default: a window if there is a screen and no screenshot, else a static picture.
    title : str, optional

    Returns
    -------
    Picture

    Raises
    ------
    PictureError
        If there is no such field, the file cannot be written, or the picture came out blank.
    """
    check_path(screenshot)
    result, verdict = unwrap(source)
    if not name:
        name = usual_name(result) if verdict is None else default_name(verdict)
    shown = read(result, name, case, verdict, at=at)
    scene = field_scene(
        result,
        shown,
        verdict=verdict,
        deformed=deformed,
        zones=zones,
        mesh_edges=mesh_edges,
        cut_plane=cut_plane,
        limits=limits,
        isotherms=isotherms,
        arrows=arrows,
        title=title,
    )
    return deliver(
        scene,
        screenshot=screenshot,
        window_size=window_size,
        camera=camera,
        show=show,
        file_name=f"{part_name(result, verdict)} {shown.name} {shown.case.name} {shown.clock}".rstrip(),
    )


def deliver(
    scene: Scene,
    *,
    screenshot: PathLike | None,
    window_size: Size,
    camera: str | Sequence[float] | None,
    show: bool | None,
    file_name: str,
) -> Picture:
    """Put a scene where its user looks: a window, a notebook, a file."""
    from designtwin.viz import window

    if window.wanted(show, screenshot is not None):
        live = window.open_window(scene, window_size, camera)
        if live is not None:
            return live
    page, _ = compose(scene, window_size, camera)
    return finish(page.figure, screenshot=screenshot, name=file_name, texts=tuple(page.texts), show=show)


# What to draw


def unwrap(source: Any) -> tuple[Any, Any]:
    """The result and, if given one, the verdict around it."""
    if hasattr(source, "rows") and hasattr(source, "result"):
        return source.result, source
    if hasattr(source, "field") or hasattr(source, "cases"):
        return source, None
    raise PictureError(f"a verdict or a result is wanted, not a {type(source).__name__}")


def cases_of(result: Any) -> dict[str, Any]:
    """Case results by name; a case result stands for itself."""
    if hasattr(result, "by_case"):
        return {name: result[name] for name in result.cases}
    return {result.name: result}


def field_name(quantity: Any) -> str:
    """The plain field a quantity judges, "" where there is none."""
    if getattr(quantity, "sigma", None) is not None:
        return ""  # fields of random vibration are root mean squares
    if isinstance(quantity, YieldMargin):
        return "safety_factor" if quantity.criterion == "von_mises" else ""
    if isinstance(quantity, DamageQuantity):
        own = "life" if isinstance(quantity, LifeQuantity) else "damage"
        return own if quantity.survival is None else ""
    if isinstance(quantity, DisplacementQuantity):
        return (
            quantity.vector if quantity.component == "magnitude" else f"{quantity.letter}{quantity.component}"
        )
    if isinstance(quantity, TemperatureQuantity):
        return "temperature"
    if isinstance(quantity, StressQuantity):
        component = {"max_principal": "principal_1"}.get(quantity.component, quantity.component)
        return f"stress_{component}" if component in ("xx", "yy", "zz", "xy", "yz", "xz") else component
    return str(getattr(quantity, "field_name", ""))


def matching(verdict: Any, name: str | Quantity) -> list[Outcome]:
    """The verdict's outcomes about a field, the worst first."""
    if verdict is None:
        return []
    rows = [
        row
        for row in verdict.rows
        if colors_a_part(row.requirement.quantity)
        and (
            row.requirement.quantity == name
            if isinstance(name, Quantity)
            else field_name(row.requirement.quantity) == name
        )
    ]
    return sorted(rows, key=lambda row: row.requirement.slack(row.value.value))


def colors_a_part(quantity: Any) -> bool:
    """Whether a quantity is read from a field that a picture can show; a time until something is not."""
    return isinstance(quantity, FieldQuantity) and not isinstance(quantity, TimeTo)


def is_of_modes(quantity: Any) -> bool:
    """Whether a quantity is a number of one mode, whose shape is what a picture can show."""
    return isinstance(quantity, ModeQuantity | BucklingFactor)


def default_name(verdict: Any) -> str | Quantity:
    """The field of the requirement that is worst off; what a verdict shows when not asked for more.

    Of random responses it is the quantity itself: the field alone is one standard deviation.
    """
    rows = [
        row
        for row in verdict.rows
        if colors_a_part(row.requirement.quantity) or is_of_modes(row.requirement.quantity)
    ]
    rows.sort(key=lambda row: row.requirement.slack(row.value.value))
    for row in rows:
        quantity = row.requirement.quantity
        return field_name(quantity) or quantity
    return usual_name(verdict.result)


def usual_name(result: Any) -> str:
    """What a result shows when not asked for more."""
    case = next(iter(_compared(result, "").values()))
    if is_shape(case) or holds_modes(case):
        return "shape"
    return "von_mises" if "von_mises" in getattr(case, "field_names", ()) else "temperature"


def holds_modes(case: Any) -> bool:
    """Whether a case is a sequence of modes."""
    return isinstance(case, ModalCase | BucklingCase)


def standing_for(case: Any) -> Any:
    """The mode that stands for a case of modes: the lowest that counts; any other case itself.

    Raises
    ------
    PictureError
        If it has no mode.
    """
    if not holds_modes(case):
        return case
    if not len(case):
        raise PictureError(f"case {case.name!r} has no mode to show: {case.why_none}")
    critical = getattr(case, "critical_mode", None)
    return critical or next((mode for mode in case if not getattr(mode, "is_rigid", False)), case[0])


def _compared(result: Any, name: str | Quantity) -> dict[str, Any]:
    """The cases among which the worst is looked for: shapes have no size to be compared by."""
    cases = cases_of(result)
    if getattr(result, "physics", "") == "buckling" and hasattr(result, "by_case"):
        some = [one for one in cases.values() if len(one)] or list(cases.values())
        first = min(some, key=lambda one: one.critical)
        return {first.name: first}
    responses = getattr(result, "responses", None) or {}
    if name == "shape" or not responses:
        return {key: one for key, one in cases.items() if key not in responses} or cases
    return {key: cases[key] for key in responses}


def governing_mode(
    result: Any, quantity: Quantity, case: str | None, verdict: Any
) -> tuple[Any, Outcome | None]:
    """The mode by which a number of modes is judged, and how the verdict judged it."""
    outcomes = [row for row in getattr(verdict, "rows", ()) if row.requirement.quantity == quantity]
    if case is not None and isinstance(quantity, BucklingFactor):
        quantity = replace(quantity, case=case)
        outcomes = [row for row in outcomes if row.value.case == case]
    value = outcomes[0].value if outcomes else quantity.evaluate(result)
    if isinstance(quantity, BucklingFactor):
        modes = result[value.case]
        ways = {"as stated": (1,), "reversed": (-1,), "either way": (1, -1)}[quantity.loads]
        found = [mode for mode in modes if math.copysign(1, mode.factor) in ways]
        found.sort(key=lambda mode: abs(mode.factor))
    else:
        modes = result.modes
        found = [mode for mode in modes if mode.name == value.case]
    return (found[0] if found else standing_for(modes)), (outcomes[0] if outcomes else None)


def read(result: Any, name: str | Quantity, case: str | None, verdict: Any, *, at: Any = None) -> Shown:
    """The field in the case and at the instant asked for, or where it is worst."""
    cases = cases_of(result)
    if case is not None and case not in cases:
        raise PictureError(f"there is no load case {case!r}; there are {', '.join(cases)}")
    if is_of_modes(name):
        assert isinstance(name, Quantity)
        mode, outcome = governing_mode(result, name, case, verdict)
        return replace(_read_case(result, "shape", mode, None), outcome=outcome)
    outcomes = matching(verdict, name)
    outcome = outcomes[0] if outcomes else None
    if case is None and outcome is not None and outcome.value.case in cases:
        case = outcome.value.case
    if case is None:
        found = {
            key: _read_instant(result, name, one, outcome, at) for key, one in _compared(result, name).items()
        }
        return _without_bound(max(found.values(), key=_badness), verdict)
    return _without_bound(_read_instant(result, name, cases[case], outcome, at), verdict)


def _without_bound(shown: Shown, verdict: Any) -> Shown:
    """The field with the surroundings of places marked at which the verdict found it to have no bound."""
    local = shown.dimension in GLOBAL
    nodes = [
        row.without_bound.place.node
        for row in getattr(verdict, "rows", ())
        if row.without_bound is not None
        and row.without_bound.place is not None
        and row.without_bound.place.node is not None
        and (row.requirement.quantity.dimension in GLOBAL) == local
    ]
    if not nodes:
        return shown
    mesh = shown.case.mesh
    near = np.zeros(mesh.n_points, bool)
    near[nodes] = True
    for _ in range(2):  # the cells that touch it, and those that share its recovery
        grown = near.copy()
        for _, _, conn in mesh.blocks():
            grown[conn[near[conn].any(axis=1)]] = True
        near = grown
    return replace(shown, singular=near[shown.node])


def _read_instant(result: Any, name: str | Quantity, case: Any, outcome: Outcome | None, at: Any) -> Shown:
    case = standing_for(case)
    times = times_of(case)
    if times is None:
        if at is not None:
            instant(case, at)  # says that there is none
        return _read_case(result, name, case, outcome)
    if isinstance(at, str) and at == "envelope":
        return _read_envelope(result, name, case, outcome)
    judged = None if outcome is None or outcome.value.case != case.name else _judged_at(outcome)
    if at is not None or judged is not None:
        one = instant(case, judged if at is None else at)
    else:
        one = worst_instant(case, lambda frame: _badness_of(result, name, frame))
    return replace(_read_case(result, name, one, outcome), span=float(times[-1] - times[0]))


def _read_envelope(result: Any, name: str | Quantity, case: Any, outcome: Outcome | None) -> Shown:
    """The worst of every point over time, where the case has that."""
    if isinstance(name, Quantity):
        raise PictureError(f"at='envelope' is for fields by name, not for {name.label}")
    shown = _read_case(result, name, case, outcome)
    if "over time" not in shown.title:
        raise PictureError(f"case {case.name!r} has no envelope over time; say at='9 min', or leave at= out")
    return shown


def _badness_of(result: Any, name: str | Quantity, state: Any) -> float:
    """How bad a state is by a field; without its error, for which there are many states to compare."""
    if isinstance(name, Quantity):
        return _badness(_read_case(result, name, state, None))
    if name in ("temperature", "displacement"):  # need no recovery
        values = np.asarray(getattr(state, name), np.float64)
    else:
        values = np.asarray(state.field(name).values, np.float64)
    if name in LEAST:
        return -float(np.nanmin(values))
    values = values if values.ndim == 1 else np.linalg.norm(values, axis=1)
    return float(np.nanmax(values if name == "temperature" else np.abs(values)))


def _judged_at(outcome: Outcome) -> float | None:
    """The instant at which a requirement was worst, s."""
    time = getattr(outcome.value, "instant", None)
    return None if time is None or math.isnan(time) else float(time)


def read_one(result: Any, name: str | Quantity, case: Any, verdict: Any, *, span: float) -> Shown:
    """The field of one instant of a course of `span` seconds; temperatures without their error."""
    outcomes = matching(verdict, name)
    outcome = outcomes[0] if outcomes else None
    if name != "temperature" or (outcome is not None and outcome.requirement.quantity.excluded):
        return replace(_read_case(result, name, case, outcome), span=span)
    return Shown(
        name="temperature",
        title="Temperature",
        dimension="temperature",
        values=np.asarray(units.from_si(case.temperature, "temperature"), np.float64),
        error=no_error,  # it needs a recovery of the flux at every instant, and no word tells it
        node=np.arange(case.mesh.n_points),
        cells=tuple(case.mesh.blocks()),
        judged=np.ones(case.mesh.n_points, bool),
        case=case,
        outcome=outcome,
        span=span,
    )


def _badness(shown: Shown) -> float:
    values = shown.values[shown.judged]
    if shown.name in LEAST:
        return -float(np.nanmin(values))
    return float(np.nanmax(np.abs(values))) if shown.dimension != "temperature" else float(np.nanmax(values))


def _read_case(result: Any, name: str | Quantity, case: Any, outcome: Outcome | None) -> Shown:
    field_of: Any = case.field
    if isinstance(name, Quantity):
        whole = field_name(replace(name, sigma=None)) if isinstance(name, MechanicalQuantity) else ""
        if not (whole and isinstance(name, MechanicalQuantity)):
            return _read_quantity(result, name, case, outcome)
        # The whole field says more than the place that is judged.
        field_of, name = name.at_sigma(case).field, whole
    known = tuple(case.field_names) if hasattr(case, "field_names") else ()
    if known and name not in known:
        hint = did_you_mean(name, known, n=2, cutoff=0.6)
        raise PictureError(f"there is no field {name!r}{hint or '.'} There are: {', '.join(known)}")
    field = field_of(name)
    title, dimension = field.title, field.dimension
    values = np.asarray(field.values, np.float64)
    if is_shape(case) and name != "shape":
        title, dimension = f"{title}, of the largest", "dimensionless"
        values = _relative(case, name, values)
    if values.ndim == 2:
        values = np.linalg.norm(values, axis=1)

    def error(row: int) -> float | None:
        off = field.error_at(np.array([row]))
        return None if off is None else _display_error(values[row], float(np.linalg.norm(off[0])), dimension)

    mesh = case.mesh
    if field.location == "points":
        node, cells = np.arange(mesh.n_points), tuple(mesh.blocks())
    else:
        node, cells = case.points.node, tuple(case.points.cells)
    shown = Shown(
        name=name,
        title=title,
        dimension=dimension,
        values=units.from_si(values, dimension),
        error=no_error if is_shape(case) and name != "shape" else error,
        node=node,
        cells=cells,
        judged=np.ones(len(values), bool),
        case=case,
        outcome=outcome,
    )
    if outcome is None:
        return shown
    return replace(shown, judged=_judged(outcome.requirement.quantity, shown, field.location))


def _relative(case: Any, name: str, values: FloatArray) -> FloatArray:
    """A field of a mode over its largest value: a shape has no size of its own."""
    if getattr(case, "is_rigid", False) and name not in ("displacement", "ux", "uy", "uz"):
        raise PictureError(f"{case.caption} moves the part as a whole and strains nothing; draw its 'shape'")
    if name == "safety_factor":
        raise PictureError(
            "a mode has no size, so no safety factor; draw its stress, which is relative, or a response"
        )
    sizes = np.abs(values) if values.ndim == 1 else np.linalg.norm(values, axis=1)
    return np.asarray(values / (float(np.nanmax(sizes, initial=0.0)) or 1.0))


def _read_quantity(result: Any, quantity: Quantity, case: Any, outcome: Outcome | None) -> Shown:
    if not colors_a_part(quantity):
        raise PictureError(f"{quantity.label} is one number, not a field; there is nothing to color")
    assert isinstance(quantity, FieldQuantity)
    band = quantity.band(result, ValuesAlone(case))
    mesh = case.mesh
    of_results = band.location == "result_points"
    node = case.points.node if of_results else np.arange(mesh.n_points)
    values = np.full(len(node), np.nan)
    values[band.rows] = band.values
    judged = np.isfinite(values) | np.isin(np.arange(len(node)), band.rows)

    def error(row: int) -> float | None:
        whole = quantity.band(result, case)
        off = np.maximum(whole.high - whole.values, whole.values - whole.low)[whole.rows == row]
        return (
            _display_error(float(band.values[band.rows == row][0]), float(off[0]), quantity.dimension)
            if len(off)
            else None
        )

    return Shown(
        name=_name_of(quantity),
        title=quantity.label,
        dimension=quantity.dimension,
        values=units.from_si(values, quantity.dimension),
        error=error,
        node=node,
        cells=tuple(case.points.cells) if of_results else tuple(mesh.blocks()),
        judged=judged,
        case=case,
        outcome=outcome,
    )


def _name_of(quantity: FieldQuantity) -> str:
    """What kind of field a quantity is read from, for its colors."""
    if isinstance(quantity, YieldMargin):
        return "safety_factor"
    if isinstance(quantity, DamageQuantity):
        return "life" if isinstance(quantity, LifeQuantity) else "damage"
    return type(quantity).__name__


def no_error(row: int) -> None:
    """Of fields whose error no word of a picture tells."""
    return None


def _display_error(value: float, error: float, dimension: str) -> float:
    return abs(float(units.from_si(value + error, dimension)) - float(units.from_si(value, dimension)))


def _judged(quantity: Any, shown: Shown, location: str) -> BoolArray:
    """Rows the requirement looks at; a requirement on one face leaves nothing else out."""
    keep = np.ones(len(shown.values), bool)
    if quantity.excluding is None:
        return keep
    if location == "points":
        keep[shown.case.model.region(quantity.excluding).nodes] = False
        return keep
    return ~region_rows(shown.case.model, shown.case.points, quantity.excluding)


def part_name(result: Any, verdict: Any = None) -> str:
    """What to call the part: the test's or model's name, or that of the mesh file."""
    model = getattr(result, "model", None)
    for name in (getattr(verdict, "name", ""), getattr(model, "name", "")):
        if name:
            return str(name)
    mesh = getattr(result, "mesh", None)
    source = getattr(mesh, "source", "")
    return Path(source).stem if source else "part"


# Ranges and colors


def scale_of(shown: Shown, limits: tuple[float, float] | None = None) -> Scale:
    """The color scale a field deserves."""
    symbol = units.symbol(shown.dimension)
    title = shown.title + (f", {symbol}" if symbol else "")
    counted = shown.judged if shown.singular is None else shown.judged & ~shown.singular
    values = shown.values[counted & np.isfinite(shown.values)]
    everything = shown.values[np.isfinite(shown.values)]
    if not len(values):
        values = everything if len(everything) else np.zeros(1)
    low, high = float(values.min()), float(values.max())
    colors = STRESS
    if limits is None and (shown.name == "damage" or _is_life(shown)) and _spans_decades(values):
        return _marked(_decades(shown, title, values), shown)
    if shown.name == "safety_factor" or "margin" in shown.title.lower():
        limit = shown.outcome.requirement.limit if shown.outcome is not None else 1.0
        most = max(MOST_SAFETY, math.ceil(2 * limit))
        low, high, colors = 0.0, most, SAFETY
    elif shown.name == "shape":
        low, high, colors = 0.0, 1.0, MOVED
    elif shown.dimension == "temperature":
        colors = HEAT
    elif (
        low < -0.02 * high
        and high > -0.02 * low
        and shown.name not in ("displacement", "von_mises", "tresca")
    ):
        high = max(abs(low), abs(high))
        low, colors = -high, SIGNED
    elif shown.dimension == "length":
        colors = MOVED
    if colors in (STRESS, MOVED) and 0.0 <= low < 0.25 * high:
        low = 0.0
    elif colors in (STRESS, MOVED) and low < 0.0 and high < 0.25 * abs(low):
        # Nearly all of it is negative: the strong color goes to the far end.
        high, colors = max(high, 0.0), ":".join(reversed(colors.split(":")))
    if limits is not None:
        low, high = float(limits[0]), float(limits[1])
        if not (math.isfinite(low) and math.isfinite(high) and low < high):
            raise PictureError(f"limits {limits} are not a lower and a higher number")
    if high - low <= 1e-9 * max(abs(low), abs(high)):
        # One value everywhere still gets a bar; it stands in the middle of it.
        half = 0.5 * abs(high) or 0.5
        low, high = low - half, high + half
    slack = 1e-6 * (high - low)
    with np.errstate(invalid="ignore"):
        below = bool((shown.values < low - slack).any())
        above = bool((shown.values > high + slack).any())
    return _marked(Scale(title, low, high, colors, below=below, above=above), shown)


def _marked(scale: Scale, shown: Shown) -> Scale:
    """The scale with the limit on it, where the field has one."""
    if shown.outcome is None or is_shape(shown.case):
        return scale
    requirement = shown.outcome.requirement
    mark = float(units.from_si(requirement.limit, shown.dimension))
    return replace(scale, mark=mark, mark_text=f"limit {requirement.limit_text}")


def _is_life(shown: Shown) -> bool:
    """Whether a field is how long the part lasts: bad where it is small."""
    return shown.name == "life" or (shown.dimension in ("life", "time") and shown.name != "instant")


def _spans_decades(values: FloatArray) -> bool:
    """Whether values above zero differ by a factor that a linear scale cannot show."""
    some = values[values > 0.0]
    return len(some) > 0 and bool(some.max() > 100.0 * some.min())


def _decades(shown: Shown, title: str, values: FloatArray) -> Scale:
    """Whole powers of ten from the bad end of a field, as many as can be told apart."""
    some = values[values > 0.0]
    first, last = math.floor(math.log10(some.min())), math.ceil(math.log10(some.max()))
    if _is_life(shown):
        last = min(last, first + MOST_DECADES)
    else:
        first = max(first, last - MOST_DECADES)
    low, high = 10.0**first, 10.0 ** max(last, first + 1)
    with np.errstate(invalid="ignore"):
        below, above = bool((shown.values < low).any()), bool((shown.values > high).any())
    colors = SAFETY if _is_life(shown) else STRESS
    return Scale(title, low, high, colors, below=below, above=above, log=True)


def isotherm_levels(shown: Shown, scale: Scale, asked: Isotherms) -> FloatArray:
    """Temperatures to draw lines at, display units."""
    if shown.dimension != "temperature":
        if asked is None or asked is False:
            return np.empty(0)
        raise PictureError(f"isotherms= are lines on the temperature; this picture shows {shown.title!r}")
    if asked is False:
        return np.empty(0)
    levels: FloatArray
    if asked is None or asked is True:
        levels = scale.ticks()
    elif isinstance(asked, int):
        if not 1 <= asked <= 200:
            raise PictureError(f"isotherms={asked}: between 1 and 200 lines are wanted, or temperatures")
        step = nice_step((scale.high - scale.low) / (asked + 1))
        first, last = math.ceil(scale.low / step), math.floor(scale.high / step)
        levels = np.asarray(step * np.arange(first, last + 1), np.float64)
    else:
        if isinstance(asked, str):
            asked = [asked]
        given = [float(np.asarray(units.to_si(t, "temperature", name="isotherms"))) for t in asked]
        return np.sort(np.asarray(units.from_si(np.array(given), "temperature"), np.float64))
    slack = 1e-6 * (scale.high - scale.low)
    return np.asarray(levels[(levels > scale.low + slack) & (levels < scale.high - slack)], np.float64)


def _levels_text(levels: FloatArray, dimension: str) -> str:
    """Lines of equal temperature in words."""
    symbol = units.symbol(dimension)
    step = np.diff(levels)
    if len(levels) > 2 and np.allclose(step, step[0], rtol=1e-6):
        # A difference of temperatures in °C is one in K.
        return f"equal temperature, {step[0]:g} {symbol.replace('°C', 'K')} apart"
    return f"equal temperature, {', '.join(format_ticks(levels))} {symbol}"


def is_shape(case: Any) -> bool:
    """Whether a state is a mode, whose displacement has no size of its own."""
    return isinstance(case, Shape)


def _moved(case: Any) -> FloatArray | None:
    """The displacement of a state; None of what has none, or one at each of many frequencies."""
    found = getattr(case, "displacement", None)
    return None if callable(found) else found


def deformation_scale(
    displacement: FloatArray, size: float, asked: bool | float, *, rounded: bool = True
) -> float:
    """How much displacements are enlarged: the number asked for, or one that shows them well, a round one."""
    if asked is False:
        return 0.0
    if asked is not True:
        if not math.isfinite(float(asked)) or float(asked) < 0:
            raise PictureError(f"deformed={asked!r} is no scale; True, False or a positive number is wanted")
        return float(asked)
    largest = float(np.linalg.norm(displacement, axis=1).max(initial=0.0))
    if not largest > 1e-12 * size:
        return 0.0
    rough = DEFORMED * size / largest
    if not rounded:
        return rough
    if rough <= 1.0:
        return 1.0
    power = 10.0 ** math.floor(math.log10(rough))
    return power * max(
        m for m in (1.0, 1.2, 1.5, 2.0, 2.5, 3.0, 4.0, 5.0, 6.0, 8.0) if m * power <= rough * 1.0001
    )


# The scene


@dataclass(frozen=True, eq=False)
class Common:
    """What several pictures of one field share.

    Parameters
    ----------
    scale : Scale
    levels : float64[k]
        Temperatures with a line, display units.
    largest_flux : float
        What the longest arrow stands for, W/m^2.
    """

    scale: Scale
    levels: FloatArray
    largest_flux: float = 0.0


def field_scene(
    result: Any,
    shown: Shown,
    *,
    verdict: Any = None,
    deformed: bool | float | None = None,
    zones: bool | Sequence[Any] | None = None,
    mesh_edges: bool = False,
    cut_plane: tuple[Any, Any] | str | None = None,
    limits: tuple[float, float] | None = None,
    isotherms: Isotherms = None,
    arrows: bool | int = False,
    common: Common | None = None,
    title: str | None = None,
) -> Scene:
    """Everything that belongs on a picture of one field of one case."""
    case = shown.case
    mesh: Mesh = case.mesh
    displacement = _moved(case)
    if deformed is None:
        deformed = displacement is not None
    factor = 0.0
    if displacement is not None:
        factor = deformation_scale(displacement, mesh.size, deformed, rounded=not is_shape(case))
    rest = mesh.points[shown.node]
    xyz = rest + factor * displacement[shown.node] if factor and displacement is not None else rest
    scale = scale_of(shown, limits) if common is None else common.scale
    skin = Skin(mesh, shown.node, shown.cells)
    draw = _Drawing(skin, shown, xyz, scale)
    notes: list[str] = []
    worst = _extremes(shown)
    if cut_plane is not None:
        normal, origin = settled_plane(cut_plane, mesh, xyz[worst[0][1]] if worst else xyz.mean(axis=0))
        draw.cut(normal, origin)
        notes.append(f"cut at {_plane_text(normal, origin, mesh.size)}")
    lines = draw.outlines(mesh_edges)
    if factor:
        if not is_shape(case):
            notes.append(f"deformation × {factor:g}")
        if cut_plane is None:
            undeformed = (
                skin.edge_lines(skin.feature_edges(), rest, skin.level()) if skin.sets else Segments.none()
            )
            if len(skin.line_conn):
                undeformed = join_segments(undeformed, Segments(rest, skin.line_conn))
            lines.insert(0, Line(undeformed, color="#8b98a5", width=1.3, opacity=0.75, lift=0.5))
            notes.append("gray lines: undeformed")
    callouts = [Callout(xyz[row], text, kind) for row, text, kind in marks(shown)]
    levels = isotherm_levels(shown, scale, isotherms) if common is None else common.levels
    if len(levels):
        lines += draw.isolines(levels)
        notes.append(f"lines: {_levels_text(levels, shown.dimension)}")
        if isotherms is not None:
            scale = replace(scale, lines=tuple(levels))
    if arrows:
        plane = None if draw.normal is None else (draw.normal, draw.origin)
        about = flow.ABOUT if arrows is True else int(arrows)
        found = flow.heat_flow(shown.case, plane, about=about)
        longest = found.largest if common is None else common.largest_flux
        body = found.body(longest)
        if body is not None:
            draw.more.append(body)
            notes.append(flow.note(longest))
    wanted = _zones_for(verdict, shown, zones)
    zone_lines, zone_callouts, zone_notes = _zone_marks(result, wanted, shown, draw, xyz)
    lines += zone_lines
    callouts = [c for c in _merged(callouts, zone_callouts) if draw.keeps(c.at)]
    notes += zone_notes
    if not shown.judged.all() and shown.excluded:
        notes.append(f"pale: not judged ({shown.excluded})")
    return Scene(
        bodies=tuple(draw.bodies),
        lines=tuple(lines),
        callouts=tuple(callouts),
        scale=scale,
        title=title if title is not None else title_of(shown),
        subtitle=_subtitle(result, verdict, shown),
        notes=(*notes, _mesh_note(mesh)),
        flat=skin.flat,
        facing=draw.normal,
    )


class _Drawing:
    """The colored skin of a part, and lines on it."""

    def __init__(self, skin: Skin, shown: Shown, xyz: FloatArray, scale: Scale) -> None:
        self.skin, self.shown, self.xyz, self.scale = skin, shown, xyz, scale
        self.level = skin.level()
        # A factor that runs to infinity is interpolated by its inverse, which is as smooth as the stress.
        self.inverse = shown.name == "safety_factor"
        self.triangles, self.sampler = skin.triangles(xyz, self.level)
        self.values = self.fine(shown.values)
        self.pale = _facets_where(skin, ~shown.judged)
        self.normal: FloatArray | None = None
        self.origin = np.zeros(3)
        self.more: list[Body] = []
        parts: list[tuple[Triangles, FloatArray, bool]] = []
        if len(self.triangles.conn):
            faded = self.pale[self.triangles.facet]
            parts.append((self.triangles.keeping(~faded), self.values, False))
            if faded.any():
                parts.append((self.triangles.keeping(faded), self.values, True))
        if len(skin.line_conn):
            parts.append((*self._bars(), False))
        self.parts = parts

    def fine(self, values: FloatArray) -> FloatArray:
        """Values at the points of the triangles."""
        if self.scale.log:  # what spans decades is smooth in its logarithm
            tiny, huge = 1e-3 * self.scale.low, 1e3 * self.scale.high
            return np.asarray(10.0 ** self.sampler(np.log10(np.clip(values, tiny, huge))))
        if not self.inverse:
            return self.sampler(values)
        with np.errstate(divide="ignore"):
            return np.asarray(1.0 / np.maximum(self.sampler(1.0 / values), 1e-12))

    def _bars(self) -> tuple[Triangles, FloatArray]:
        model = self.shown.case.model
        area = model.cell_scale()[self.skin.line_cells]
        size = self.skin.mesh.size
        radius = np.clip(np.sqrt(np.abs(area) / math.pi), 0.004 * size, 0.02 * size)
        tri, end = tubes(self.xyz, self.skin.line_conn, radius)
        return tri, self.shown.values[end]

    @property
    def bodies(self) -> list[Body]:
        """What to draw."""
        thin = not self.skin.sets
        own = [Body(tri, values, faded=faded, hides=not thin) for tri, values, faded in self.parts]
        return own + self.more

    def cut(self, normal: FloatArray, origin: FloatArray) -> None:
        """Take away what is in front of a plane, and close the cut with a face."""
        self.normal, self.origin = normal, origin
        kept: list[tuple[Triangles, FloatArray, bool]] = []
        for tri, values, faded in self.parts:
            less, fewer = cut_triangles(tri, values, normal, origin)
            if len(less.conn) and fewer is not None:
                kept.append((less, fewer, faded))
        values = self.shown.values
        if self.inverse:
            with np.errstate(divide="ignore"):
                face, on_face = section(self.shown.cells, self.xyz, 1.0 / values, normal, origin)
                on_face = 1.0 / np.maximum(on_face, 1e-12)
        else:
            face, on_face = section(self.shown.cells, self.xyz, values, normal, origin)
        if len(face.conn) and self.shown.on_surface:
            self.more.append(Body(face))
        elif len(face.conn):
            kept.append((face, on_face, False))
        if not kept:
            raise PictureError("the cut plane takes the whole part away; turn its normal or move its point")
        self.parts = kept

    def keeps(self, point: FloatArray) -> bool:
        """False for what a cut took away."""
        return self.normal is None or float((point - self.origin) @ self.normal) <= 1e-6 * self.skin.mesh.size

    def trimmed(self, segments: Segments) -> Segments:
        """What a cut leaves of some lines."""
        if self.normal is None or not len(segments.conn):
            return segments
        behind = (segments.points - self.origin) @ self.normal <= 1e-9
        return Segments(segments.points, segments.conn[behind[segments.conn].all(axis=1)])

    def outlines(self, mesh_edges: bool) -> list[Line]:
        """Feature edges, borders between parts, and cell edges if asked for."""
        skin = self.skin
        if not skin.sets:
            return []
        model = self.shown.case.model
        part = getattr(model, "part_of_cell", None)
        label = None if part is None else np.asarray(part)[skin.facets[:, 0]]
        feature = skin.feature_edges(label)
        lines = []
        if mesh_edges:
            every = skin.edge_lines(~feature, self.xyz, self.level)
            lines.append(Line(self.trimmed(every), color=INK, width=0.7, opacity=0.35, lift=0.6))
        lines.append(
            Line(
                self.trimmed(skin.edge_lines(feature, self.xyz, self.level)),
                color=INK,
                width=1.1,
                opacity=0.8,
            )
        )
        if self.normal is not None and skin.mesh.dimension == 3:
            # The rim of the cut: pale colors on paper would have no end.
            tri = self.triangles
            rim = contour(tri.points, tri.conn, (tri.points - self.origin) @ self.normal, 0.0)
            lines.append(Line(rim, color=INK, width=1.4, opacity=0.9))
        if self.pale.any() and not self.pale.all():
            both = skin.edges().facets
            border = (both >= 0).all(axis=1) & (self.pale[both[:, 0]] != self.pale[both[:, 1]])
            lines.append(
                Line(self.trimmed(skin.edge_lines(border, self.xyz, self.level)), color=FAINT, width=1.2)
            )
        return lines

    def isolines(self, levels: FloatArray) -> list[Line]:
        """Lines of equal value on the body, as drawn."""
        parts = [contour(tri.points, tri.conn, v, float(c)) for tri, v, _ in self.parts for c in levels]
        joined = join_segments(*parts) if parts else Segments.none()
        return [Line(joined, color=INK, width=0.9, opacity=0.45)] if len(joined.conn) else []

    def border_of(self, rows: IntArray) -> Segments:
        """The line around a set of rows on the skin."""
        flag = np.zeros(len(self.shown.values))
        flag[rows] = 1.0
        if not len(self.triangles.conn):
            return Segments.none()
        on_skin = self.sampler(flag)
        return self.trimmed(contour(self.triangles.points, self.triangles.conn, on_skin, 0.5))

    def limit_line(self, values: FloatArray, requirement: Any, near: IntArray) -> Segments:
        """The line where a required quantity (SI, at rows) passes its limit, near some rows."""
        if not len(self.triangles.conn):
            return Segments.none()
        limit = requirement.limit
        if self.shown.on_surface and limit > 0.0:
            values, limit = np.log10(np.clip(values, 1e-3 * limit, 1e3 * limit)), math.log10(limit)
        elif not requirement.is_upper and limit > 0.0 and np.nanmin(values) >= 0.0:
            # A margin is stress turned over: drawn by its inverse it is as smooth as the stress.
            with np.errstate(divide="ignore"):
                values, limit = 1.0 / values, 1.0 / limit
        flag = np.zeros(len(values), bool)
        flag[near] = True
        keep = _facets_where(self.skin, flag, every=False) & ~_facets_where(
            self.skin, np.isnan(values), every=False
        )
        fine = self.sampler(values)
        tri = self.triangles
        return self.trimmed(contour(tri.points, tri.conn[keep[tri.facet]], fine, limit))


def _facets_where(skin: Skin, flags: BoolArray, *, every: bool = True) -> BoolArray:
    """Facets whose rows are all (or any) flagged."""
    out = np.zeros(skin.n_facets, bool)
    for facets in skin.sets:
        hit = flags[facets.conn]
        out[facets.rows] = hit.all(axis=1) if every else hit.any(axis=1)
    return out


def _extremes(shown: Shown) -> list[tuple[Literal["max", "min"], int]]:
    """Rows worth a marker, the more important first."""
    counted = shown.judged if shown.singular is None else shown.judged & ~shown.singular
    values = np.where(counted, shown.values, np.nan)
    finite = np.isfinite(values)
    used = np.zeros(len(values), bool)
    for _, _, conn in shown.cells:
        used[conn.ravel()] = True
    values = np.where(finite & used, values, np.nan)
    if np.isnan(values).all():
        return []
    high, low = int(np.nanargmax(values)), int(np.nanargmin(values))
    if shown.name in LEAST or (shown.outcome is not None and not shown.outcome.requirement.is_upper):
        return [("min", low)]
    if shown.name == "damage":
        return [("max", high)]
    if values[high] == values[low]:
        return [("max", high)]
    if shown.name == "displacement" and values[low] <= 1e-9 * values[high]:
        return [("max", high)]  # the least displacement is the support, which is no news
    both: list[tuple[Literal["max", "min"], int]] = [("max", high), ("min", low)]
    return both if shown.dimension == "temperature" or abs(values[high]) >= abs(values[low]) else both[::-1]


def marks(shown: Shown) -> list[tuple[int, str, Literal["max", "min"]]]:
    """Rows whose value is worth a word, what to say there, and how it looks: the more important first."""
    extremes = _extremes(shown)
    if is_shape(shown.case):
        # A mode has no values, but a place where it is strained most.
        row = int(np.nanargmax(np.abs(shown.values)))
        return [] if shown.name == "shape" else [(row, "largest", "max")]
    out: list[tuple[int, str, Literal["max", "min"]]] = []
    judged = _judged_row(shown)
    if shown.singular is not None and judged is not None and shown.singular[judged]:
        out.append((judged, NO_NUMBER, "max"))
        judged = None
    if judged is not None and judged not in [row for _, row in extremes]:
        assert shown.outcome is not None
        quantity = shown.outcome.requirement.quantity
        out.append((judged, f"{quantity.label}\n{_value_text(shown, judged)}", "max"))
    for kind, row in extremes:
        # The first is the one that matters, whichever end it is.
        text = _value_text(shown, row)
        if any(said.endswith(f" {text}") for _, said, _ in out):
            continue  # as good as the same everywhere
        # What is judged is a size where there is a sign.
        word = "largest" if shown.values[row] < 0.0 and not text.startswith("−") else kind
        out.append((row, f"{word} {text}", "min" if out else "max"))
    return out


def _judged_here(shown: Shown) -> Outcome | None:
    """The requirement's outcome, if what is drawn is the case and the instant it was judged by."""
    outcome = shown.outcome
    if outcome is None or outcome.value.place is None or outcome.value.case != shown.case.name:
        return None
    when = _judged_at(outcome)
    if when is not None and (
        shown.time is None or abs(shown.time - when) > 1e-6 * max(shown.span, abs(when))
    ):
        return None
    return outcome


def _judged_row(shown: Shown) -> int | None:
    """The row whose value the requirement was judged by, if it is one of this case and instant."""
    outcome = _judged_here(shown)
    if outcome is None or outcome.value.place is None:
        return None
    rows = np.flatnonzero(
        shown.node == (-1 if outcome.value.place.node is None else outcome.value.place.node)
    )
    if not len(rows):
        return None
    if outcome.value.singular:
        return int(rows[0])
    # Where parts meet a node has several rows; the judged one has the judged value.
    value = float(units.from_si(outcome.value.value, shown.dimension))
    return int(rows[np.nanargmin(np.abs(np.abs(shown.values[rows]) - abs(value)))])


def _value_text(shown: Shown, row: int) -> str:
    """The value at a row, as the verdict's table writes it where the table speaks of the same place."""
    outcome = _judged_here(shown)
    place = None if outcome is None else outcome.value.place
    at_place = place is not None and place.node == int(shown.node[row])
    if outcome is not None and at_place and not shown.on_surface:
        return show_value(outcome.value, outcome.requirement.quantity.dimension)
    symbol = units.symbol(shown.dimension)
    value = float(shown.values[row])
    if shown.on_surface:
        return _decades_text(shown, outcome if at_place else None, value, row)
    error = shown.error(row)
    if error is None or not math.isfinite(error):
        return f"{units.show(value, 'dimensionless')} {symbol}".strip().replace("-", "−")
    # Values are in display units already; dimensionless keeps them as they are.
    low = value - error
    if shown.name == "safety_factor":
        # The error is that of the upper end; in the stress beneath it is as large downward as upward.
        low = value / (1.0 + error / (value + error))
    text = show_value(Value(value=value, error=error, low=low, high=value + error), "dimensionless")
    return f"{text} {symbol}".strip().replace("-", "−")


def _decades_text(shown: Shown, outcome: Outcome | None, value: float, row: int) -> str:
    """A value whose interval spans decades: "1.5e-05 (6.5e-07 to 8.9e-05)"."""
    symbol, words = units.symbol(shown.dimension), ""
    if outcome is not None and math.isfinite(outcome.value.low) and math.isfinite(outcome.value.high):
        low, high = (units.from_si(end, shown.dimension) for end in (outcome.value.low, outcome.value.high))
        words = f" ({_two_digits(low)} to {_two_digits(high)})"
    elif math.isfinite(error := shown.error(row) or 0.0) and error > 0.0:
        words = f" (up to {_two_digits(value + error)})"
    return f"{value:.3g}{f' {symbol}' if symbol else ''}{words}"


def _two_digits(value: Any) -> str:
    return units.show(float(f"{float(value):.2g}"), "dimensionless")


def _zones_for(verdict: Any, shown: Shown, asked: bool | Sequence[Any] | None) -> list[Any]:
    if asked is False:
        return []
    if asked is None or asked is True:
        zones = (
            list(verdict.failure_zones()) if verdict is not None and hasattr(verdict, "failure_zones") else []
        )
    else:
        zones = list(asked)
    if asked is None and shown.dimension == "length":
        # How far a part moves is judged as a whole; outlines of other troubles would only confuse.
        return []
    zones = [zone for zone in zones if shown.case.name in zone.cases]
    own = [z for z in zones if shown.outcome is not None and z.requirement == shown.outcome.requirement]
    # Where requirements overlap each has its outline on its own field; elsewhere the worst stands for all.
    return own or [zone for zone in zones if zone.within is None]


def _zone_marks(
    result: Any, zones: list[Any], shown: Shown, draw: _Drawing, xyz: FloatArray
) -> tuple[list[Line], list[Callout], list[str]]:
    lines: list[Line] = []
    callouts: list[Callout] = []
    largest = max((zone.volume or zone.area for zone in zones), default=0.0)
    for zone in zones:
        rows = _rows_of_zone(zone, shown)
        if not len(rows):
            continue
        here = _on_rows(result, zone, shown)
        if shown.time is not None and zone.requirement.met_by(here[rows]).all():
            continue  # beyond the limit at another instant
        border = draw.limit_line(here, zone.requirement, rows)
        lines.append(Line(border if len(border.conn) else draw.border_of(rows), color=ALARM, width=2.6))
        peak = getattr(zone, "instant", None)
        if shown.time is not None and peak is not None and not math.isclose(shown.time, peak, rel_tol=1e-6):
            continue  # its label tells of its peak
        if len(callouts) < MOST_ZONES and (zone.volume or zone.area) >= 0.02 * largest:
            at = draw.skin.mesh.points[shown.node[rows]] - np.array(zone.place.point)
            row = rows[int(np.linalg.norm(at, axis=1).argmin())]
            times = f"{zone.times_limit:.3g} × limit" if math.isfinite(zone.times_limit) else ""
            text = "singular" if zone.singular else ", ".join(t for t in (times, zone.size_text) if t)
            callouts.append(Callout(xyz[row], f"zone {zone.number}: {text}", "zone"))
    notes = []
    if lines:
        notes.append("red outline: beyond the limit")
        if len(lines) > len(callouts):
            rest = len(lines) - len(callouts)
            notes.append(f"{rest} more zone{'s' if rest > 1 else ''} without label")
    return lines, callouts, notes


def _on_rows(result: Any, zone: Any, shown: Shown) -> FloatArray:
    """The quantity of a zone's requirement in the case drawn, at the rows drawn; nan where not judged."""
    quantity = zone.requirement.quantity
    band = quantity.band(result, shown.case)
    of_results = band.location == "result_points"
    values = np.full(len(shown.case.points.node) if of_results else shown.case.mesh.n_points, np.nan)
    values[band.rows] = np.abs(band.values) if quantity.over == "max_abs" else band.values
    if of_results == (len(shown.node) == len(values)):
        return values
    return values[shown.node] if not of_results else _first_of_nodes(shown, values)


def _first_of_nodes(shown: Shown, values: FloatArray) -> FloatArray:
    """Values at split rows brought to mesh points; where parts meet, any of theirs."""
    out = np.full(shown.case.mesh.n_points, np.nan)
    out[shown.case.points.node] = values
    return np.asarray(out[shown.node])


def _rows_of_zone(zone: Any, shown: Shown) -> IntArray:
    """The zone's points as rows of the field drawn."""
    case = shown.case
    nodes = zone.rows if zone.location == "points" else case.points.node[zone.rows]
    if zone.location == "result_points" and len(shown.values) == len(case.points.node):
        return np.asarray(zone.rows)
    return np.flatnonzero(np.isin(shown.node, nodes))


def _merged(marks: list[Callout], zones: list[Callout]) -> list[Callout]:
    """One label where the extreme value is the peak of a zone."""
    out, left = [], list(zones)
    for mark in marks:
        twin = next((z for z in left if np.array_equal(z.at, mark.at)), None)
        if twin is None:
            out.append(mark)
        else:
            left.remove(twin)
            out.append(replace(mark, text=f"{mark.text}\n{twin.text}", kind="zone"))
    return out + left


def settled_plane(
    asked: tuple[Any, Any] | str, mesh: Mesh, through: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Normal and point of a cut; a letter alone cuts through a given point, and the larger piece stays."""
    normal, origin = _plane(asked, mesh, through)
    if (
        isinstance(asked, str)
        and asked in ("x", "y", "z")
        and (origin - mesh.extents.mean(axis=0)) @ normal < 0
    ):
        normal = -normal
    return normal, origin


def _plane(asked: tuple[Any, Any] | str, mesh: Mesh, through: FloatArray) -> tuple[FloatArray, FloatArray]:
    if isinstance(asked, str):
        sign = -1.0 if asked.startswith("-") else 1.0
        letter = asked.lstrip("+-")
        if letter not in ("x", "y", "z"):
            raise PictureError(f"cut_plane {asked!r}: 'x', 'y', 'z' or (normal, point) is wanted")
        return sign * np.eye(3)["xyz".index(letter)], through
    try:
        given, point = asked
    except (TypeError, ValueError):
        raise PictureError(f"cut_plane {asked!r}: 'x', 'y', 'z' or (normal, point) is wanted") from None
    normal = _plane(given, mesh, through)[0] if isinstance(given, str) else np.asarray(given, np.float64)
    if normal.shape != (3,) or not normal.any():
        raise PictureError(f"cut_plane normal {given!r} is no direction")
    origin = np.asarray(units.to_si(point, "length", name="cut_plane point"), np.float64)
    return normal / np.linalg.norm(normal), origin


def _plane_text(normal: FloatArray, origin: FloatArray, size: float) -> str:
    fine = 10.0 ** (math.floor(math.log10(size)) - 3)  # a thousandth of the part is close enough for words
    origin = np.round(origin / fine) * fine + 0.0
    axis = np.flatnonzero(np.abs(normal) > 0.999999)
    if len(axis):
        return f"{'xyz'[axis[0]]} = {units.show(float(origin[axis[0]]), 'length')}"
    return f"{units.show(origin, 'length')}, normal ({', '.join(f'{n:.2g}' for n in normal)})"


def title_of(shown: Shown) -> str:
    text = shown.title[:1].upper() + shown.title[1:]
    if shown.clock:
        text += f" at {shown.clock}"
    caption = str(getattr(shown.case, "caption", ""))
    if is_shape(shown.case):
        if shown.name != "shape":
            return f"{text.removesuffix(', of the largest')}, {caption}"
        case = shown.case.name if isinstance(shown.case, BucklingMode) else ""
        text = caption[:1].upper() + caption[1:]
        return f"{text}, load case {case}" if case else text
    if caption:
        text += f" at {caption}"
    if not shown.case.name or f"case '{shown.case.name}'" in text:
        return text
    return f"{text}, load case {shown.case.name}"


def _subtitle(result: Any, verdict: Any, shown: Shown) -> str:
    parts = [part_name(result, verdict)]
    if verdict is not None:
        parts.append(f"{verdict.test}: {verdict.status}")
        if shown.outcome is not None:
            when = _judged_at(shown.outcome)
            elsewhere = "" if when is None or _judged_here(shown) else f", judged at {units.show_time(when)}"
            parts.append(f"{shown.outcome.requirement}: {shown.outcome.status}{elsewhere}")
    return "   ·   ".join(parts)


def _mesh_note(mesh: Mesh) -> str:
    cells = ", ".join(f"{len(conn):,} {name}" for name, conn in mesh.cells.items())
    return f"{mesh.n_points:,} nodes, {cells}"


# Side by side


def compare(
    before: Any,
    after: Any,
    name: str | Quantity = "von_mises",
    *,
    case: str | None = None,
    headings: tuple[str, str] = ("before", "after"),
    screenshot: PathLike | None = None,
    deformed: bool | float | None = None,
    window_size: Size = (2000, 1000),
    camera: str | Sequence[float] | None = None,
    show: bool | None = None,
    title: str | None = None,
) -> Picture:
    """Draw a field of two results side by side: one color scale, one camera, one deformation scale.

    Parameters
    ----------
    before, after : Verdict, result or case result
    headings : (str, str)
        Above the two.
    case : str, optional
        By default the worst case of `before`, in both.
    Others as `plot_field`.
    """
    check_path(screenshot)
    pairs = [unwrap(before), unwrap(after)]
    first = read(pairs[0][0], name, case, pairs[0][1])
    second = read(pairs[1][0], name, first.case.name, pairs[1][1])
    both = [first, second]
    if deformed is None or deformed is True:
        moved = [_moved(s.case) for s in both]
        factors = [
            deformation_scale(u, s.case.mesh.size, True)
            for u, s in zip(moved, both, strict=True)
            if u is not None
        ]
        deformed = min(factors) if len(factors) == 2 else False
    scales = [scale_of(s) for s in both]
    low, high = min(s.low for s in scales), max(s.high for s in scales)
    scenes = [
        field_scene(r, s, verdict=v, deformed=deformed, limits=(low, high), zones=None)
        for (r, v), s in zip(pairs, both, strict=True)
    ]
    common = replace(
        scenes[0].scale or scales[0],
        below=any(bool(s.scale and s.scale.below) for s in scenes),
        above=any(bool(s.scale and s.scale.above) for s in scenes),
    )
    page = Page(window_size)
    page.header(
        title if title is not None else f"{title_of(first)}: {headings[0]} and {headings[1]}",
        part_name(pairs[1][0], pairs[1][1]),
    )
    notes = [n for n in scenes[0].notes[:-1] if n in scenes[1].notes]
    page.footer([*notes, *(f"{h}: {s.notes[-1]}" for h, s in zip(headings, scenes, strict=True))])
    important = np.array([c.at for c in scenes[0].callouts if c.kind in ("max", "zone")]).reshape(-1, 3)
    toward = look_at(scenes[0], camera, important)
    frame_points = np.concatenate([s.framed() for s in scenes])
    right = 200 * page.unit / page.width
    top, bottom = 120 * page.unit / page.height, 56 * page.unit / page.height
    width = (1 - right) / 2
    for i, (scene, heading) in enumerate(zip(scenes, headings, strict=True)):
        box = Box(i * width, bottom, width, 1 - top - bottom)
        page.panel(replace(scene, focus=frame_points, scale=common), box, toward, heading=heading)
    page.bar(common, Box(1 - 150 * page.unit / page.width, 0.16, 30 * page.unit / page.width, 0.56))
    return finish(
        page.figure,
        screenshot=screenshot,
        name=f"{part_name(*pairs[1])} {first.name} compared",
        texts=tuple(page.texts),
        show=show,
    )


__all__ = ["Sampler", "compare", "deliver", "field_name", "field_scene", "plot_field", "read", "scale_of"]
