"""What every result has: fields by name, probes, integrals, files."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Generic, TypeVar

import numpy as np

from designtwin.elements import ELEMENTS
from designtwin.errors import DesignTwinError, RequirementError, SelectionError, did_you_mean
from designtwin.mesh import Mesh
from designtwin.mesh.locate import locate
from designtwin.model.model import Model
from designtwin.results.recovery import Recovery, ResultPoints
from designtwin.results.tables import Table
from designtwin.typing import FloatArray, IntArray
from designtwin.units import to_si

if TYPE_CHECKING:
    from designtwin.mesh.selections import Selection


class Field:
    """A named field over the part.

    Parameters
    ----------
    name, title : str
        For code and for people.
    values : float64[n] or float64[n, c]
        SI.
    dimension : str
        What ``units.show`` needs.
    location : "points" or "result_points"
        Rows are mesh points, or ``result.points`` (nodes split between parts).
    error : float64[n], or what gives it when asked, optional
        Half-width of the interval that holds the exact value, SI. It often costs more than the values, which
        a course of many instants asks for alone.
    interval : what gives its ends when asked, each float64[n], optional
        In place of the error where the interval is lopsided.
    error_at : what gives the error at some rows, float64[k], optional
        Where that of all rows costs far more.
    """

    def __init__(
        self, name: str, title: str, values: FloatArray, dimension: str, location: str = "result_points",
        error: FloatArray | Callable[[], FloatArray] | None = None,
        interval: Callable[[], tuple[FloatArray, FloatArray]] | None = None,
        error_at: Callable[[IntArray], FloatArray] | None = None,
    ) -> None:  # fmt: skip
        self.name, self.title, self.values = name, title, values
        self.dimension, self.location = dimension, location
        self._error, self._interval, self._error_at = error, interval, error_at

    def error_at(self, rows: IntArray) -> FloatArray | None:
        """The error at some rows, without that of all where it is not needed."""
        if self._error_at is not None:
            return self._error_at(rows)
        return None if self.error is None else self.error[rows]

    @cached_property
    def error(self) -> FloatArray | None:
        """Half-width of the interval that holds the exact value, float64[n], SI; its larger side where it is
        lopsided, None where unknown."""
        if self._interval is not None:
            assert self.interval is not None
            low, high = self.interval
            with np.errstate(invalid="ignore"):  # equal infinities lie no distance apart
                above, below = (
                    np.where(a == b, 0.0, a - b) for a, b in ((high, self.values), (self.values, low))
                )
            return np.maximum(above, below)
        return self._error() if callable(self._error) else self._error

    @cached_property
    def interval(self) -> tuple[FloatArray, FloatArray] | None:
        """Ends of the interval that holds the exact value, float64[n] each, SI; None where unknown."""
        if self._interval is not None:
            low, high = self._interval()
            return np.minimum(low, self.values), np.maximum(high, self.values)
        if self.error is None:
            return None
        error = np.abs(self.error)
        return self.values - error, self.values + error


@dataclass(frozen=True)
class SolveInfo:
    """How a result was obtained; part of every result.

    Parameters
    ----------
    solver : str
        What ran, such as ``"MultigridCG (4 levels)"``.
    n_dof : int
    iterations : int
        Largest over the right-hand sides of the set-up the case belongs to; 0 for a direct solver.
    seconds : mapping of phase to s
        ``"assemble"``, ``"set-up"``, ``"solve"`` and the like, in the order in which they ran.
    notes : tuple of str
        Why this solver, and what it met: a switch, a bound on memory.
    residual : float, optional
        Unbalanced over applied force in the solver's own norm, largest over the right-hand sides.
    peak_bytes : int, optional
        Most memory the analysis held beyond mesh and model; None where the system does not tell.
    """

    solver: str
    n_dof: int
    iterations: int
    seconds: Mapping[str, float]
    notes: tuple[str, ...] = ()
    residual: float | None = None
    peak_bytes: int | None = None

    def __str__(self) -> str:
        told = [self.solver, f"{self.n_dof:,} unknowns"]
        if self.iterations:
            told.append(f"{self.iterations} iterations")
        if self.residual is not None:
            told.append(f"residual {self.residual:.1e}")
        if self.seconds:
            phases = ", ".join(f"{phase} {seconds:.2f} s" for phase, seconds in self.seconds.items())
            told.append(f"{sum(self.seconds.values()):.2f} s ({phases})")
        if self.peak_bytes is not None:
            told.append(f"{self.peak_bytes / 1e6:,.0f} MB")
        return "; ".join([", ".join(told), *self.notes])


class CaseResult:
    """One load case's answer; ``StaticCase`` and ``ThermalCase`` derive from it."""

    name: str
    model: Model
    recovery: Recovery
    residual: float
    imbalance: float
    info: SolveInfo

    def field(self, name: str) -> Field:
        """A field by name; see ``field_names``."""
        raise NotImplementedError

    @property
    def field_names(self) -> tuple[str, ...]:
        raise NotImplementedError

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.name!r} of {self.model!r}>"

    @property
    def mesh(self) -> Mesh:
        return self.model.mesh

    @property
    def points(self) -> ResultPoints:
        """Nodes split between parts: the rows of stress-like fields."""
        return self.recovery.points

    def error_by_cell(self) -> FloatArray:
        """Each cell's share of the estimated error, float64[n_cells]: the square of its own stress (or flux)
        less the recovered one, over its volume.

        Raises
        ------
        DesignTwinError
            If the case has no field of its own to recover: responses and courses have instants that do.
        """
        recovered, sampled = getattr(self, "_recovered", None), getattr(self, "_sampled", None)
        if recovered is None or sampled is None:
            raise DesignTwinError(f"case {self.name!r} has no error by cell: it is no steady field")
        own = self.recovery.at_cell_nodes(sampled())
        out = np.zeros(self.mesh.n_cells)
        size = np.abs(self.mesh.cell_measures()) * self.model.cell_scale()
        for (_, cells, rows), values in zip(self.points.cells, own, strict=True):
            out[cells] = ((values - recovered[rows]) ** 2).sum(axis=2).mean(axis=1) * size[cells]
        return out

    @property
    def frames(self) -> tuple[CaseResult, ...]:
        """Instants, frequencies or modes of the case; a static one has itself."""
        return (self,)

    def on_result_points(self, field: Field) -> FloatArray:
        """The field's values at the rows of ``points``."""
        return field.values[self.points.node] if field.location == "points" else field.values

    def probe(self, at: Any, name: str) -> FloatArray | float:
        """Value of a field at a point [3] or points [n, 3] (lengths, m), interpolated in the cell.

        Raises
        ------
        SelectionError
            If a point lies outside the mesh.
        """
        xyz = np.asarray(to_si(at, "length", name="at"), np.float64)
        if xyz.ndim not in (1, 2) or xyz.shape[-1] != 3:
            raise SelectionError(
                f"probe: a point has three coordinates, got an array of shape {xyz.shape}; "
                "write ('10 mm', '0 mm', '5 mm')"
            )
        values = self.on_result_points(self.field(name))
        row_of = self._rows_of_cells
        out = []
        for place in locate(self.mesh, xyz.reshape(-1, 3)):
            weights = ELEMENTS[place.element].shape(place.xi)[0]
            out.append(weights @ values[row_of[place.cell]])
        result = np.asarray(out)
        if xyz.ndim == 1:
            return float(result[0]) if result.ndim == 1 else np.asarray(result[0])
        return result

    @cached_property
    def _rows_of_cells(self) -> dict[int, IntArray]:
        return {
            int(cell): row
            for _, cells, rows in self.points.cells
            for cell, row in zip(cells, rows, strict=True)
        }

    def line(self, start: Any, end: Any, name: str, n: int = 51) -> tuple[FloatArray, FloatArray]:
        """Distance float64[n], m, and values along a straight line between two points."""
        a = np.asarray(to_si(start, "length", name="start"), np.float64)
        b = np.asarray(to_si(end, "length", name="end"), np.float64)
        t = np.linspace(0.0, 1.0, n)
        values = self.probe(a + t[:, None] * (b - a), name)
        return t * float(np.linalg.norm(b - a)), np.asarray(values)

    def integrate(self, on: str | Selection, name: str) -> FloatArray | float:
        """Integral of a field over the faces of a selection, field unit times m^2."""
        region = self.model.region(on)
        field = self.field(name)
        values = self.on_result_points(field)
        row_of = self._rows_of_cells
        total = np.zeros(values.shape[1:])
        for block in self.mesh.facets(region.facets):
            element = ELEMENTS[block.element]
            shape, gradient, weight = element.tables(element.mass_quadrature)
            x = self.mesh.points[block.conn]
            tangents = np.einsum("fna,qnd->fqad", x, gradient)
            if gradient.shape[2] == 2:
                area = np.linalg.norm(np.cross(tangents[..., 0], tangents[..., 1]), axis=-1)
            else:
                area = np.linalg.norm(tangents[..., 0], axis=-1) * self.model.cell_scale()[block.cells, None]
                if self.model.axisymmetric:
                    area = area * 2.0 * np.pi * np.einsum("qn,fn->fq", shape, x[..., 0])
            rows = np.empty_like(block.conn)
            for k, cell in enumerate(block.cells):
                mine = row_of[int(cell)]
                node = self.points.node[mine]
                rows[k] = [mine[int(np.flatnonzero(node == c)[0])] for c in block.conn[k]]
            at = np.einsum("qn,fn...->fq...", shape, values[rows])
            total = total + np.einsum("fq,q,fq...->...", area, weight, at)
        return float(total) if np.ndim(total) == 0 else np.asarray(total)

    def plot(self, name: str = "", **options: Any) -> Any:
        """Picture of a field; see ``designtwin.viz``."""
        from designtwin import edge

        return edge.plot(self, name, **options)

    def animate(self, path: str | Path, name: str = "", **options: Any) -> Any:
        """Film of a field over time: GIF, WebP, MP4, or a page with a slider; see ``designtwin.viz``."""
        from designtwin import edge

        return edge.animate(self, path, name, **options)


C = TypeVar("C", bound=CaseResult)


@dataclass(frozen=True, eq=False, repr=False)
class Result(Generic[C]):
    """Answers of all cases of one analysis.

    Parameters
    ----------
    model : Model
        What was computed.
    by_case : mapping of case name to case result
    notes : tuple of str
        What the user should know.
    """

    model: Model
    by_case: Mapping[str, C]
    notes: tuple[str, ...] = ()

    physics: ClassVar[str]
    """"static" or "thermal": what a quantity's ``needs`` must name."""

    def __repr__(self) -> str:
        return f"<{type(self).__name__} of cases {list(self.cases)}>"

    @property
    def cases(self) -> tuple[str, ...]:
        return tuple(self.by_case)

    @property
    def mesh(self) -> Mesh:
        return self.model.mesh

    @property
    def points(self) -> ResultPoints:
        """Nodes split between parts: the rows of stress-like fields."""
        return next(iter(self.by_case.values())).points

    def __getitem__(self, name: str) -> C:
        if name not in self.by_case:
            hint = did_you_mean(str(name), self.cases, n=1, cutoff=0.6)
            raise RequirementError(f"there is no case {name!r}{hint or '.'} There are: {list(self.cases)}")
        return self.by_case[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self.by_case)

    def __len__(self) -> int:
        return len(self.by_case)

    def __getattr__(self, name: str) -> Any:
        # A result of one case stands for that case.
        if name.startswith("_") or "by_case" not in self.__dict__:
            raise AttributeError(name)
        if len(self.by_case) == 1:
            return getattr(next(iter(self.by_case.values())), name)
        raise AttributeError(
            f"{type(self).__name__} has no {name!r}; with {len(self.by_case)} cases say result[case].{name}, "
            f"cases: {list(self.cases)}"
        )

    @property
    def tables(self) -> tuple[Table, ...]:
        """What is printed beside the verdict: natural modes, buckling factors; nothing of most results."""
        return ()

    def to_vtu(self, path: str | Path, fields: Sequence[str] | None = None) -> Path:
        """Write all cases as point fields to a VTU file that ParaView opens (points in meters).

        Nodes shared by two parts appear once per part, so that stress stays single-valued.
        """
        from designtwin.io.results import write_vtu

        data: dict[str, FloatArray] = {"part": self.points.part.astype(np.float64)}
        for name, case in self.by_case.items():
            for key in fields or case.field_names:
                field = case.field(key)
                label = key if len(self.by_case) == 1 else f"{name}: {key}"
                data[label] = case.on_result_points(field)
        write_vtu(path, self.points.xyz, self.points.by_element, point_data=data)
        return Path(path)
