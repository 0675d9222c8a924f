"""Natural frequencies and mode shapes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar, overload

import numpy as np

from designtwin.assembly.cyclic import CyclicDynamics
from designtwin.assembly.dynamics import Dynamics
from designtwin.errors import RequirementError
from designtwin.model.model import LoadCase, Model
from designtwin.results.common import CaseResult, Field, Result, SolveInfo
from designtwin.results.modal_stress import modal_stress
from designtwin.results.places import part_of_nodes
from designtwin.results.recovery import Recovery
from designtwin.results.shapes import Shape
from designtwin.results.static import StaticCase
from designtwin.results.tables import Table
from designtwin.results.transient import Instants
from designtwin.typing import FloatArray
from designtwin.units import show

DIRECTIONS = ("x", "y", "z", "rx", "ry", "rz")
"""Of participation: along the axes, and about axes through the center of gravity."""


def frequency_interval(frequency: float, energy_error: float, residual: float) -> tuple[float, float]:
    """Where the exact frequency of a model is expected, Hz.

    A mesh is too stiff: relative to its own, omega^2 is too large by the error of the shape in the energy
    norm, squared. Four times its estimate is taken, as for displacements (beams of all elements, coarse to
    fine, ask for 0.3 to 3.4 times), and once it upwards: bonds between parts that do not match, and straight
    sides where the part is curved, are not stiffer than the truth for certain. What the iteration leaves open
    is added.

    Source: Strang and Fix, An Analysis of the Finite Element Method (1973), sec. 6.3.
    """
    share = min(4.0 * energy_error**2, 1.0)
    low, high = max(1.0 - share - residual, 0.0), 1.0 + 0.25 * share + residual
    return frequency * float(np.sqrt(low)), frequency * float(np.sqrt(high))


@dataclass(frozen=True, eq=False, repr=False, kw_only=True)
class Mode(Shape):
    """One mode of vibration; fields, stress and pictures are those of its shape with phi^T M phi = 1 kg m^2.

    Only ratios of its fields mean something: the shape has no size of its own.

    Parameters
    ----------
    number : int
        1 is the lowest, rigid motions counted.
    frequency : float
        Hz; 0 for rigid motions.
    omega2 : float
        Its square as an angular frequency, rad^2/s^2.
    is_rigid : bool
    participation : float64[6]
        phi^T M r for unit motions r along x, y, z and about axes through the center of gravity, sqrt(kg),
        sqrt(kg) m.
    """

    number: int
    frequency: float
    omega2: float
    is_rigid: bool
    participation: FloatArray

    @property
    def effective_mass(self) -> FloatArray:
        """Mass (x, y, z), kg, and inertia (rx, ry, rz), kg m^2, that move with the base, float64[6]."""
        return np.asarray(self.participation**2)

    @property
    def caption(self) -> str:
        """The mode in words: "mode 3, 65.2 Hz"."""
        if self.is_rigid:
            return f"mode {self.number}, rigid motion"
        return f"mode {self.number}, {show(self.frequency, 'frequency')}"

    @cached_property
    def interval(self) -> tuple[float, float]:
        """Where the exact frequency of the model is expected, Hz; see `frequency_interval`."""
        if self.is_rigid:
            return 0.0, 0.0
        return frequency_interval(self.frequency, self.energy_error, self.residual)

    def __repr__(self) -> str:
        return f"<Mode: {self.caption} of {self.model!r}>"


@dataclass(frozen=True, eq=False)
class ShapeErrors:
    """Half-widths that hold a shape's exact values: what sums over shapes add up.

    Parameters
    ----------
    energy : float
        Relative error in the energy norm.
    stress : float64[rows]
        Of the stress tensor (Frobenius norm), Pa per unit of the shape's coordinate.
    displacement : float64[n_points]
        m per unit.
    """

    energy: float
    stress: FloatArray
    displacement: FloatArray

    @classmethod
    def of(cls, shape: StaticCase) -> ShapeErrors:
        return cls(shape.energy_error, shape.stress_tensor_error(), shape.displacement_error)


@dataclass(frozen=True, eq=False, repr=False, kw_only=True)
class ModalCase(CaseResult):
    """All modes of one analysis, lowest first; a sequence of `Mode`.

    Parameters
    ----------
    name : str
    model : Model
    recovery : Recovery
    dynamics : Dynamics
        The equations of motion.
    omega2 : float64[m]
        rad^2/s^2; 0 for rigid motions.
    shapes : float64[size, m]
        In the unknowns of ``dynamics``; shapes^T M shapes = 1.
    n_rigid : int
        Rigid motions among them, which come first.
    residuals : float64[m]
        |K phi - omega^2 M phi| over |K phi|.
    complete_to : float
        Hz: every mode up to it is among them.
    checked : str
        How it was seen that no mode is missing.
    state : LoadCase
        What the part vibrates about.
    info : SolveInfo
    """

    name: str
    model: Model
    recovery: Recovery
    dynamics: Dynamics
    omega2: FloatArray
    shapes: FloatArray
    n_rigid: int
    residuals: FloatArray
    complete_to: float
    checked: str
    state: LoadCase
    info: SolveInfo

    @property
    def residual(self) -> float:  # type: ignore[override]
        """The largest of the modes."""
        return float(self.residuals.max(initial=0.0))

    @cached_property
    def imbalance(self) -> float:  # type: ignore[override]
        """What supports and inertia of a mode leave unbalanced over the force that acts, at most."""
        return max((mode.imbalance for mode in self if not mode.is_rigid), default=0.0)

    @property
    def frequencies(self) -> FloatArray:
        """Hz, float64[m]; 0 for rigid motions."""
        return np.asarray(np.sqrt(np.maximum(self.omega2, 0.0)) / (2.0 * np.pi))

    @cached_property
    def elastic(self) -> tuple[Mode, ...]:
        """The modes that deform the part."""
        return tuple(self)[self.n_rigid :]

    # A sequence of modes

    @cached_property
    def frames(self) -> Instants[Mode]:  # type: ignore[override]
        """The modes, each made when it is asked for."""
        return Instants(len(self.omega2), self._mode)

    def __len__(self) -> int:
        return len(self.omega2)

    def __iter__(self) -> Iterator[Mode]:
        return iter(self.frames)

    @overload
    def __getitem__(self, i: int) -> Mode: ...
    @overload
    def __getitem__(self, i: slice) -> tuple[Mode, ...]: ...

    def __getitem__(self, i: int | slice) -> Mode | tuple[Mode, ...]:
        if isinstance(i, slice):
            return self.frames[i]
        if not isinstance(i, int | np.integer) or not -len(self) <= i < len(self):
            raise RequirementError(f"there is no mode [{i!r}]; there are {len(self)}, the first is [0]")
        return self.frames[int(i) % len(self)]

    def _mode(self, i: int) -> Mode:
        u = self.dynamics.displacement(self.shapes[:, i])
        omega2, rigid = float(self.omega2[i]), i < self.n_rigid
        inertia = omega2 * self.dynamics.inertia(u)
        reactions = np.zeros_like(u) if rigid else self.dynamics.support_forces(u, inertia)
        total = inertia.sum(axis=0) + reactions.sum(axis=0)
        if self.model.axisymmetric:
            total[0] = 0.0
        most = float(np.abs(inertia).sum() + np.abs(reactions).sum())
        return Mode(
            name=f"mode {i + 1}", model=self.model, recovery=self.recovery, displacement=u,
            reactions=reactions, applied=inertia.sum(axis=0),
            applied_moment=np.cross(self.mesh.points, inertia).sum(axis=0),
            residual=float(self.residuals[i]), imbalance=float(np.abs(total).max() / most) if most else 0.0,
            info=self.info, case=self.state, number=i + 1, frequency=float(self.frequencies[i]),
            omega2=omega2, is_rigid=rigid, participation=self.participation[i],
        )  # fmt: skip

    @property
    def field_names(self) -> tuple[str, ...]:
        return self._first.field_names

    def plot(self, name: str = "shape", **options: Any) -> Any:
        """Sheet of the first modes that deform the part; of one say ``[i].plot()``."""
        from designtwin import edge

        return edge.plot_modes(self, name, **options)

    def field(self, name: str) -> Field:
        """A field of the lowest mode that is no rigid motion; of another say ``[i].field(name)``."""
        return self._first.field(name)

    @property
    def _first(self) -> Mode:
        """The lowest mode that deforms the part, else the first.

        Raises
        ------
        RequirementError
            If there is none.
        """
        if not len(self):
            raise RequirementError(
                f"no mode was found up to {show(self.complete_to, 'frequency')}; ask for more"
            )
        return self.frames[min(self.n_rigid, len(self) - 1)]

    # What sums over modes need of each shape

    @cached_property
    def shape_stress(self) -> FloatArray:
        """Recovered stress of every shape, float64[m, rows, 6]; mapped from disk where large, see
        `modal_stress`. Kept, as all responses sum it up."""
        return modal_stress(self.frames)

    def interval(self, i: int) -> tuple[float, float]:
        """Where the exact frequency of a mode is expected, Hz; kept, and the stress it took is not."""
        if i not in self._intervals:
            self._intervals[i] = self._mode(i).interval
        return self._intervals[i]

    @cached_property
    def _intervals(self) -> dict[int, tuple[float, float]]:
        return {}

    def shape_errors(self, i: int) -> ShapeErrors:
        """Errors of the discretization in one shape; kept."""
        if i not in self._errors:
            self._errors[i] = ShapeErrors.of(self[i])
        return self._errors[i]

    @cached_property
    def _errors(self) -> dict[int, ShapeErrors]:
        return {}

    # What moves

    @cached_property
    def center(self) -> FloatArray:
        """Center of gravity, float64[3], m."""
        inertia = self.dynamics.inertia(self._along(1))
        mass = inertia[:, 1]
        return np.asarray(mass @ self.mesh.points / mass.sum())

    def _along(self, i: int) -> FloatArray:
        out = np.zeros((self.mesh.n_points, 3))
        out[:, i] = 1.0
        return out

    @cached_property
    def _motions(self) -> FloatArray:
        """Unit rigid motions along the axes and about the center of gravity, float64[n_points, 3, 6]."""
        x = self.mesh.points - self.center
        motions = np.zeros((len(x), 3, 6))
        motions[:, 0, 0] = motions[:, 1, 1] = motions[:, 2, 2] = 1.0
        motions[:, 1, 3], motions[:, 2, 3] = -x[:, 2], x[:, 1]
        motions[:, 0, 4], motions[:, 2, 4] = x[:, 2], -x[:, 0]
        motions[:, 0, 5], motions[:, 1, 5] = -x[:, 1], x[:, 0]
        if self.model.dimension == 2:
            motions[:, :, [2, 3, 4]] = 0.0
        if self.model.axisymmetric:
            motions[:, :, [0, 5]] = 0.0
        return motions

    @cached_property
    def _inertia(self) -> FloatArray:
        return self.dynamics.inertia(self._motions)

    @cached_property
    def whole(self) -> FloatArray:
        """Mass along x, y, z, kg, and moments of inertia about the center of gravity, kg m^2, float64[6]."""
        return np.asarray(np.einsum("nim,nim->m", self._motions, self._inertia))

    @cached_property
    def participation(self) -> FloatArray:
        """phi^T M r of every mode for the six unit motions, float64[m, 6]."""
        rows = [
            np.einsum("ni,nim->m", self.dynamics.displacement(phi), self._inertia) for phi in self.shapes.T
        ]
        return np.array(rows).reshape(-1, 6)

    @property
    def effective_mass(self) -> FloatArray:
        """Mass, kg, and inertia, kg m^2, of every mode that move with the base, float64[m, 6]."""
        return np.asarray(self.participation**2)

    @cached_property
    def shares(self) -> FloatArray:
        """Effective over whole mass or inertia, float64[m, 6]; 0 where the model has none."""
        whole = self.whole
        return np.asarray(
            np.divide(self.effective_mass, whole, out=np.zeros_like(self.effective_mass), where=whole > 0.0)
        )

    def moving(self, i: int) -> str:
        """The part with most of a mode's kinetic energy, and the direction it mostly moves in: "lid, z"."""
        u = self.dynamics.displacement(self.shapes[:, i])
        energy = u * self.dynamics.inertia(u)
        parts = part_of_nodes(self.model)
        share = np.bincount(parts[parts >= 0], energy.sum(axis=1)[parts >= 0], len(self.model.parts))
        name = self.model.parts[int(np.argmax(share))].name if len(self.model.parts) > 1 else ""
        along = energy.sum(axis=0)
        order = np.argsort(-along, kind="stable")
        words = "xyz"[order[0]]
        if along[order[1]] > 0.5 * along[order[0]]:
            words = "".join(sorted(words + "xyz"[order[1]]))
        return f"{name}, {words}" if name else words

    @cached_property
    def nodal_diameters(self) -> tuple[int, ...] | None:
        """Of every mode of a ring of equal sectors; None of any other part."""
        if not isinstance(self.dynamics, CyclicDynamics):
            return None
        return tuple(self.dynamics.nodal_diameters(phi) for phi in self.shapes.T)

    def table(self) -> Table:
        """Frequencies, effective masses (per cent of the whole) and what moves."""
        seen = [k for k in range(6) if self.whole[k] > 0.0]
        headings = ["mode", "frequency", *(f"{DIRECTIONS[k]} %" for k in seen), "moves"]
        diameters = self.nodal_diameters
        if diameters is not None:
            headings.insert(2, "diameters")
        cells, rows = [], []
        for i, frequency in enumerate(self.frequencies):
            rigid = i < self.n_rigid
            moves = self.moving(i)
            shares = [f"{100.0 * self.shares[i, k]:.1f}" for k in seen]
            cells.append([str(i + 1), "0 (rigid)" if rigid else show(frequency, "frequency"), *shares, moves])
            if diameters is not None:
                cells[-1].insert(2, str(diameters[i]))
            rows.append(
                {
                    "mode": i + 1, "frequency": float(frequency), "is_rigid": rigid, "moves": moves,
                    "effective_mass": dict(zip(DIRECTIONS, self.effective_mass[i].tolist(), strict=True)),
                    "share": dict(zip(DIRECTIONS, self.shares[i].tolist(), strict=True)),
                    "residual": float(self.residuals[i]),
                    **({} if diameters is None else {"nodal_diameters": diameters[i]}),
                }
            )  # fmt: skip
        total = self.shares.sum(axis=0)
        blank = [""] if diameters is None else ["", ""]
        cells.append(["sum", *blank, *(f"{100.0 * total[k]:.1f}" for k in seen), ""])
        notes = [
            f"effective mass in % of {show(self.dynamics.total_mass, 'mass')} and of the inertia about the "
            "center of gravity",
            *([self.checked] if self.checked else []),
        ]
        return Table("modes", headings, cells, rows, notes)

    def mac(self, other: ModalCase | FloatArray) -> FloatArray:
        """Modal assurance criterion between the modes and others on the same mesh, float64[m, m2], 0 to 1.

        Parameters
        ----------
        other : ModalCase or float64[n_points, 3, m2]
            Such as measured shapes; nan where nothing was measured is left out.

        Source: Allemang and Brown, A correlation coefficient for modal vector analysis, IMAC I (1982).
        """
        own = self.dynamics.displacement(self.shapes).reshape(-1, len(self))
        theirs = (
            other.dynamics.displacement(other.shapes) if isinstance(other, ModalCase) else np.asarray(other)
        )
        theirs = theirs.reshape(-1, theirs.shape[-1])
        if len(theirs) != len(own):
            raise RequirementError(
                f"mac: {len(theirs) // 3} points against {len(own) // 3}; shapes on one mesh are wanted"
            )
        known = np.isfinite(theirs).all(axis=1)
        a, b = own[known], theirs[known]
        return np.asarray(np.abs(a.T @ b) ** 2 / np.outer((a * a).sum(axis=0), (np.abs(b) ** 2).sum(axis=0)))

    def __repr__(self) -> str:
        return f"<ModalCase: {len(self)} modes of {self.model!r}>"

    def __str__(self) -> str:
        return str(self.table())


@dataclass(frozen=True, eq=False, repr=False)
class ModalResult(Result[CaseResult]):
    """Answer of a modal analysis; stands for its `modes`."""

    physics: ClassVar[str] = "vibration"

    @property
    def modes(self) -> ModalCase:
        """All modes."""
        case: Any = self.by_case["modes"]
        return case  # type: ignore[no-any-return]

    def __str__(self) -> str:
        return str(self.modes.table())
