"""Buckling factors and shapes of static load cases."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from typing import ClassVar, overload

import numpy as np

from designtwin.errors import DesignTwinError
from designtwin.model.model import Model
from designtwin.results.common import CaseResult, Field, Result, SolveInfo
from designtwin.results.history import StaticResult
from designtwin.results.places import part_of_nodes
from designtwin.results.recovery import Recovery
from designtwin.results.shapes import Shape
from designtwin.results.static import StaticCase
from designtwin.results.tables import Table
from designtwin.typing import FloatArray
from designtwin.units import show


@dataclass(frozen=True, eq=False, repr=False, kw_only=True)
class BucklingMode(Shape):
    """One way in which a part buckles: a shape without a size of its own, scaled to at most 1 m.

    As a state it has the strain and the stress of that shape, without those of the load.

    Parameters
    ----------
    number : int
        1 for the smallest factor in size.
    factor : float
        All loads of the case, times this, keep the part in balance in this shape too; negative where they
        act the other way.
    """

    number: int
    factor: float

    def __repr__(self) -> str:
        return f"<BucklingMode {self.number} of {self.name!r}: factor {self.factor:.4g}>"

    @property
    def caption(self) -> str:
        """Such as "buckling mode 1, factor 3.21"."""
        return f"buckling mode {self.number}, factor {self.factor:.4g}"

    @cached_property
    def factor_error(self) -> float:
        """Half-width of the interval that holds the exact factor.

        A mesh is too stiff: relative to the exact factor its own is too large by the error of the shape, in
        the energy norm, squared. Four times that estimate is taken, as for displacements (clamped edges,
        where stress is infinite, ask for 2.7), and the residual of the solution added.

        Source: Strang and Fix, An Analysis of the Finite Element Method (1973), sec. 6.3.
        """
        return abs(self.factor) * (4.0 * self.energy_error**2 + self.residual)

    @cached_property
    def node(self) -> int:
        """The mesh point that moves most."""
        return int(np.argmax(np.linalg.norm(self.displacement, axis=1)))

    @property
    def place(self) -> str:
        """Where it moves most and along which axis, such as "'web' at (40, 0, 12) mm, along y"."""
        names = _groups_at(self.model, self.node)
        x = show(self.mesh.points[self.node], "length")
        axis = "xyz"[int(np.abs(self.displacement[self.node]).argmax())]
        return f"{', '.join(map(repr, names))} at {x}, along {axis}"


def _groups_at(model: Model, node: int) -> list[str]:
    """Part of a node, and the smallest named group that has it, where that is smaller than the part."""
    number = int(part_of_nodes(model)[node])
    names, size = [], model.mesh.n_points + 1
    if number >= 0:
        names = [model.parts[number].name]
        size = len(model.mesh.nodes_of_cells(model.parts[number].cells))
    best = ""
    for name in model.mesh.groups:
        nodes = model.region(name).nodes
        if name not in names and len(nodes) < size and node in nodes:
            best, size = name, len(nodes)
    return [*names, best] if best else names


@dataclass(frozen=True, eq=False, repr=False, kw_only=True)
class BucklingCase(CaseResult):
    """How the part buckles under one load case: a sequence of modes, the smallest factor in size first.

    Parameters
    ----------
    name : str
    model : Model
    recovery : Recovery
    prestress : StaticCase
        The state that is multiplied.
    modes : tuple of BucklingMode
    residual : float
        Largest of the modes: unbalanced force over elastic force.
    imbalance : float
        Of the state that is multiplied.
    info : SolveInfo
    largest_factor : float
        Size of factor up to which modes were looked for: there stress is as large as elastic moduli.
    count : int
        How many were asked for; fewer modes mean that there are no more.
    dead : StaticCase, optional
        The state that acts in full whatever the factor.
    """

    name: str
    model: Model
    recovery: Recovery
    prestress: StaticCase
    modes: tuple[BucklingMode, ...]
    residual: float
    imbalance: float
    info: SolveInfo
    largest_factor: float
    count: int
    dead: StaticCase | None = None
    notes: tuple[str, ...] = field(default=())

    @property
    def frames(self) -> tuple[BucklingMode, ...]:
        """All modes."""
        return self.modes

    def __len__(self) -> int:
        return len(self.modes)

    def __iter__(self) -> Iterator[BucklingMode]:
        return iter(self.modes)

    @overload
    def __getitem__(self, i: int) -> BucklingMode: ...
    @overload
    def __getitem__(self, i: slice) -> tuple[BucklingMode, ...]: ...

    def __getitem__(self, i: int | slice) -> BucklingMode | tuple[BucklingMode, ...]:
        return self.modes[i]

    @cached_property
    def factors(self) -> FloatArray:
        """Buckling factors, float64[m], the smallest in size first; negative for loads the other way."""
        return np.array([mode.factor for mode in self.modes])

    @property
    def critical_mode(self) -> BucklingMode | None:
        """The mode with the smallest positive factor; None where these loads buckle nothing."""
        positive = [mode for mode in self.modes if mode.factor > 0.0]
        return positive[0] if positive else None

    @property
    def critical(self) -> float:
        """The smallest positive factor; inf where these loads, however large, buckle nothing."""
        mode = self.critical_mode
        return np.inf if mode is None else mode.factor

    @property
    def _shown(self) -> BucklingMode:
        """What stands for the case where one shape is wanted."""
        if not self.modes:
            raise DesignTwinError(f"case {self.name!r} has no buckling mode to show: {self.why_none}")
        return self.critical_mode or self.modes[0]

    @property
    def why_none(self) -> str:
        """Why there is no positive factor; empty where there is one."""
        if self.critical_mode is not None:
            return ""
        if self.largest_factor == np.inf:
            return "its loads leave no stress"
        return "its loads compress nothing that could give way: they only pull"

    @property
    def field_names(self) -> tuple[str, ...]:
        return self._shown.field_names

    def field(self, name: str) -> Field:
        """A field of the mode with the smallest positive factor; ``[i].field`` is that of any."""
        return self._shown.field(name)

    @property
    def displacement(self) -> FloatArray:
        """Shape of the mode with the smallest positive factor, float64[n_points, 3]."""
        return self._shown.displacement

    def table(self) -> Table:
        """Modes: factor, its interval, which way the loads act, where the shape moves most, residual."""
        cells, rows = [], []
        for mode in self.modes:
            way = "as stated" if mode.factor > 0.0 else "reversed"
            cells.append(
                [str(mode.number), f"{mode.factor:.4g}", f"{mode.factor_error:.1g}", way, mode.place,
                 f"{mode.residual:.0e}"]
            )  # fmt: skip
            rows.append(
                {
                    "mode": mode.number, "factor": mode.factor, "factor_error": mode.factor_error,
                    "node": mode.node, "at": self.mesh.points[mode.node].tolist(), "place": mode.place,
                    "residual": mode.residual,
                }
            )  # fmt: skip
        headings = ["mode", "factor", "+-", "loads act", "moves most in", "residual"]
        notes = [] if not self.why_none else [f"no positive factor: {self.why_none}"]
        return Table(f"buckling under {self.name!r}", headings, cells, rows, notes)

    def __str__(self) -> str:
        return str(self.table())


@dataclass(frozen=True, eq=False, repr=False)
class BucklingResult(Result[BucklingCase]):
    """Answers of a buckling analysis, case by case.

    Parameters
    ----------
    static : StaticResult, optional
        The states that are multiplied; what gradients take up again.
    """

    static: StaticResult | None = None

    physics: ClassVar[str] = "buckling"

    @property
    def critical(self) -> float:
        """The smallest positive factor of all cases; inf where none buckles."""
        return min(case.critical for case in self.by_case.values())

    @property
    def tables(self) -> tuple[Table, ...]:
        return tuple(case.table() for case in self.by_case.values() if len(case))

    def __str__(self) -> str:
        return "\n".join([*(str(case.table()) for case in self.by_case.values()), *self.notes])
