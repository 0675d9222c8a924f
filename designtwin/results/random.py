"""Response to random vibration: root mean squares everywhere, spectral densities anywhere."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from designtwin import units
from designtwin.elements import ELEMENTS
from designtwin.errors import DesignTwinError, did_you_mean
from designtwin.io.files import atomic
from designtwin.mesh.locate import locate
from designtwin.mesh.selections import select
from designtwin.model.coordinates import unit_vector
from designtwin.results import stress as tensor
from designtwin.results.common import Field
from designtwin.results.modal_stress import row_chunks
from designtwin.results.modal_sums import MOTIONS, VON_MISES, ModalSum, root_of
from designtwin.results.places import mean_weights, rows_of
from designtwin.solvers import spectral
from designtwin.typing import FloatArray
from designtwin.units import STANDARD_GRAVITY, show, to_si

if TYPE_CHECKING:
    from designtwin.mesh.selections import Selection
    from designtwin.model.excitation import BasePsd, Correlated, ForcePsd

_LIGHT = 0.3
"""Share of critical damping below which Miles' equation is worth telling."""
_CONTOUR = 0.05
"""Step along the contour of `exceedance`; the trapezoidal rule is then exact to rounding."""


@dataclass(frozen=True, eq=False)
class ResponsePsd:
    """One-sided spectral density of a response at a place.

    Parameters
    ----------
    frequencies : float64[k]
        Hz, ascending, dense around resonances.
    values : float64[k]
        SI squared per Hz.
    moments : float64[5]
        Integrals of f^n times the density over the band, n = 0 .. 4, exact to rounding.
    label : str
        What it is and where.
    dimension : str
        Of the response, a key of `designtwin.units`; of ``values`` it is `density_dimension`.
    input : ResponsePsd, optional
        Density of the base motion along the same direction, where there is one.
    case : str
    """

    frequencies: FloatArray
    values: FloatArray
    moments: FloatArray
    label: str
    dimension: str
    input: ResponsePsd | None = None
    case: str = ""

    def __len__(self) -> int:
        return len(self.frequencies)

    @property
    def density_dimension(self) -> str:
        """Of the values: "acceleration_density"."""
        return ("stress" if self.dimension == "pressure" else self.dimension) + "_density"

    @property
    def rms(self) -> float:
        """Root mean square, SI."""
        return float(np.sqrt(self.moments[0]))

    @property
    def apparent_frequency(self) -> float:
        """Mean number of upward crossings of zero per second, Hz; 0 without a response.

        Source: Rice, Bell Syst. Tech. J. 24 (1945) 46-156.
        """
        return float(np.sqrt(self.moments[2] / self.moments[0])) if self.moments[0] > 0.0 else 0.0

    @property
    def irregularity(self) -> float:
        """Zero crossings over peaks: 1 of a narrow band, towards 0 of a wide one."""
        below = float(np.sqrt(self.moments[0] * self.moments[4]))
        return float(self.moments[2] / below) if below > 0.0 else 0.0

    def to_csv(self, path: str | Path) -> Path:
        """Write frequency in Hz and density in the display unit, which the head of the column names."""
        return write_curve(
            path, self.frequencies, self.values, f"density of {self.label}", self.density_dimension
        )

    def plot(self, **options: Any) -> Any:
        """Picture of the density; see `designtwin.viz.plot_psd` for the options."""
        from designtwin import edge

        return edge.plot_psd(self, **options)

    def __str__(self) -> str:
        where = f" in case {self.case!r}" if self.case else ""
        if not self.values.any():
            return f"{self.label}{where}: 0 RMS"
        peak = float(self.frequencies[int(np.argmax(self.values))])
        return (
            f"{self.label}{where}: {show(self.rms, self.dimension)} RMS, most at {show(peak, 'frequency')}, "
            f"{show(self.apparent_frequency, 'frequency')} apparent"
        )


def write_curve(
    path: str | Path, frequencies: FloatArray, values: FloatArray, label: str, dimension: str
) -> Path:
    """Write frequency in Hz and a value in its display unit as CSV."""
    unit = units.symbol(dimension)
    out = io.StringIO()
    rows = csv.writer(out, lineterminator="\n")
    rows.writerow(["frequency [Hz]", f"{label} [{unit}]" if unit else label])
    shown = units.from_si(values, dimension)
    rows.writerows([repr(float(f)), repr(float(v))] for f, v in zip(frequencies, shown, strict=True))
    with atomic(path, error=DesignTwinError) as stream:
        stream.write(out.getvalue().encode("utf-8"))
    return Path(path)


@dataclass(frozen=True)
class MilesCheck:
    """Miles' equation for the mode that moves most mass, beside the answer of all modes at the same point.

    Parameters
    ----------
    mode : int
    frequency : float
        Hz.
    ratio : float
        Of critical damping.
    density : float
        Of the base at this frequency, (m/s^2)^2/Hz.
    single : float
        RMS absolute acceleration along the base motion of one degree of freedom, m/s^2.
    amplified : float
        The same at the point of the part that moves most in this mode: times mode shape and participation.
    computed : float
        There by all modes, m/s^2.
    """

    mode: int
    frequency: float
    ratio: float
    density: float
    single: float
    amplified: float
    computed: float

    def __str__(self) -> str:
        return (
            f"Miles' equation for mode {self.mode} ({show(self.frequency, 'frequency')}, damped "
            f"{show(self.ratio, 'share')}): {self.single / STANDARD_GRAVITY:.3g} g RMS, where the mode moves "
            f"most {self.amplified / STANDARD_GRAVITY:.3g} g; all modes there "
            f"{self.computed / STANDARD_GRAVITY:.3g} g"
        )


@dataclass(frozen=True, eq=False, repr=False, kw_only=True)
class RandomCase(ModalSum):
    """Response to stationary random vibration: fields are root mean squares.

    Displacement and velocity are relative to the base where that is shaken, acceleration is absolute. A field
    "displacement", "velocity" or "acceleration" holds the root mean squares of the components; its length is
    that of the vector.

    Parameters
    ----------
    name, model, recovery, modes, extra, shapes, stiffness, directions, info, notes
        See `ModalSum`.
    excitation : BasePsd, ForcePsd or Correlated
    damping : str
        In words.
    ratios : float64[m]
        Share of critical damping of each shape at its frequency, as far as it has one of its own.
    transfer : ModalTransfer
        Modal coordinates by modal forces over frequency.
    force : float64[m, n]
        Modal forces of a unit of each input.
    knots : float64[k]
        Frequencies between which inputs are smooth, Hz.
    covariances : Covariances
    """

    excitation: BasePsd | ForcePsd | Correlated
    damping: str
    ratios: FloatArray
    transfer: spectral.ModalTransfer
    force: FloatArray
    knots: FloatArray
    covariances: spectral.Covariances

    statistical: ClassVar[bool] = True
    _word: ClassVar[str] = "RMS"

    def products(self, motion: str) -> FloatArray:
        matrix: FloatArray = getattr(self.covariances, motion)
        return matrix

    @property
    def _relative_error(self) -> float:
        # A root is off by half of what its square is.
        return 0.5 * self.covariances.error

    def field(self, name: str, sigma: float = 1.0) -> Field:
        """A field by name, times sigma; a name may end in " rms".

        Parameters
        ----------
        name : str
            displacement, ux, uy, uz, velocity, vx .., acceleration, ax .., von_mises, stress_xx .. stress_xz,
            safety_factor.
        sigma : float
            3 for "3 sigma": a normal response is beyond for 0.27 % of the time, von Mises stress no longer
            than that; see `exceedance`.
        """
        if not np.isfinite(sigma) or sigma <= 0.0:
            raise DesignTwinError(f"sigma={sigma!r}: how many standard deviations, such as sigma=3")
        return self._field(name.removesuffix(" rms"), float(sigma), "RMS" if sigma == 1.0 else f"{sigma:g}σ")

    # At a place

    def psd(
        self, on: Any = None, direction: Any = None, what: str = "acceleration", *, over: str = "",
        relative: bool | None = None, frequencies: Any = None,
    ) -> ResponsePsd:  # fmt: skip
        """Spectral density of the response at a place.

        Parameters
        ----------
        on : group name, selection, or point (x, y, z)
            The whole part unless given.
        direction : "x", "y", "z", three numbers, or "magnitude"; of stress "xx" .. "xz" or "von_mises"
            Unless given the magnitude, whose density is the sum over the components, and von Mises stress,
            whose density is that of Segalman's quadratic form.
        what : "acceleration", "velocity", "displacement" or "stress"
        over : "mean" or "max"
            Over the nodes of the place: of components the mean (as a sensor glued to it reads) unless given;
            of what has no sign the node at which the root mean square is largest.
        relative : bool, optional
            Of motion: to the base, or absolute. Accelerations are absolute unless said otherwise, the rest is
            relative.
        frequencies : sequence of frequencies, optional
            At which it is wanted; dense around resonances unless given. Moments do not depend on them.

        Raises
        ------
        DesignTwinError
            If there is no such place, direction or response.
        """
        if what != "stress" and what not in MOTIONS:
            known = (*MOTIONS, "stress")
            hint = did_you_mean(what, known, n=1) or f"; there are: {', '.join(known)}"
            raise DesignTwinError(f"psd: there is no {what!r}{hint}")
        if over not in ("", "mean", "max"):
            raise DesignTwinError(f"psd over={over!r}: say 'mean' or 'max'")
        if what == "stress" and relative is not None:
            raise DesignTwinError("psd: stress is neither relative nor absolute; leave relative out")
        location = "result_points" if what == "stress" else "points"
        rows, weights, place = self._place(on, location)
        if what == "stress":
            invariant = direction in (None, "von_mises")
            if not invariant and direction not in tensor.COMPONENTS:
                words = ", ".join(("von_mises", *tensor.COMPONENTS))
                raise DesignTwinError(f"psd: stress {direction!r}? Say one of {words}")
            title, dimension = "von Mises stress" if invariant else f"stress {direction}", "pressure"
            columns = VON_MISES.T if invariant else np.eye(6)[:, [tensor.COMPONENTS.index(direction)]]
            signal = _Signal(self, self.stress_of_shapes(rows) @ columns, None, 0)
        else:
            invariant = direction is None or (isinstance(direction, str) and direction == "magnitude")
            columns = (
                np.eye(3) if invariant else np.array(unit_vector(direction, name="psd direction"))[:, None]
            )
            _, dimension, title = MOTIONS[what]
            title = _said(title.lower(), direction, invariant, relative if self.directions.any() else None)
            absolute = what == "acceleration" if relative is None else not relative
            base = self.directions @ columns if absolute and self.directions.any() else None
            signal = _Signal(self, self._moving(rows, columns), base, list(MOTIONS).index(what))
        if not _is_point(on) and (over == "max" or (invariant and over != "mean")):
            best = signal.largest()
            weights, signal = np.ones(1), signal.at(best)
            node = int(rows[best] if location == "points" else self.points.node[rows[best]])
            place += f", largest at {show(self.mesh.points[node], 'length')}"
        signal = signal.weighted(weights, separately=invariant and over == "mean")
        f = self._frequencies(frequencies)
        given = None
        if what == "acceleration" and signal.base is not None and not invariant:
            shaker = _Signal(self, np.zeros((len(self.stiffness), 1, 1)), signal.base, 2)
            given = shaker.psd(f, f"base {_said('acceleration', direction, False, None)}", dimension)
        return signal.psd(f, title + place, dimension, given)

    def _frequencies(self, given: Any) -> FloatArray:
        if given is None:
            return spectral.plot_frequencies(self.knots, self.transfer.poles)
        f = np.atleast_1d(np.asarray(to_si(given, "frequency", name="psd frequencies"), np.float64))
        low, high = float(self.knots[0]), float(self.knots[-1])
        if f.ndim != 1 or not len(f) or (f < low * (1.0 - 1e-9)).any() or (f > high * (1.0 + 1e-9)).any():
            raise DesignTwinError(
                f"psd: frequencies lie in the band of the input, {show(low, 'frequency')} to "
                f"{show(high, 'frequency')}"
            )
        return f

    def _place(self, on: Any, location: str) -> tuple[Any, FloatArray, str]:
        """Rows of a place and weights of a mean over it, or of interpolation; the place in words."""
        if _is_point(on):
            xyz = np.asarray(to_si(on, "length", name="on"), np.float64)
            found = locate(self.mesh, xyz[None])[0]
            rows = self._rows_of_cells[found.cell]
            rows = self.points.node[rows] if location == "points" else rows
            return rows, ELEMENTS[found.element].shape(found.xi)[0], f" at {show(xyz, 'length')}"
        selection = None if on is None else select(on)
        rows = rows_of(self.model, self.points, selection, location)
        nodes = rows if location == "points" else self.points.node[rows]
        words = "" if selection is None else f" of {selection}"
        return rows, mean_weights(self.model, selection, nodes), words

    def _moving(self, nodes: Any, columns: FloatArray) -> FloatArray:
        """Displacement of all shapes at nodes along directions [3, c], float64[m, nodes, c]."""
        dynamics = self.modes.dynamics
        each = [dynamics.displacement(np.ascontiguousarray(q))[nodes] @ columns for q in self.shapes.T]
        return np.array(each).reshape(len(each), len(nodes), columns.shape[1])

    # Probability

    def exceedance(self, sigma: float = 3.0, on: str | Selection | None = None) -> float:
        """Share of the time that von Mises stress is above sigma times its root mean square.

        At the point of a place (the whole part unless given) whose root mean square is largest, of normal
        inputs. Von Mises stress is not normal: where one direction of stress works alone, 3 sigma are
        exceeded for 0.27 % of the time, elsewhere for less.

        Source: Segalman, Reese, Field and Fulcher, J. Vib. Acoust. 122 (2000) 42-48; the bound: Szekely and
        Bakirov, Probab. Theory Relat. Fields 126 (2003) 184-202.
        """
        rows = rows_of(self.model, self.points, None if on is None else select(on), "result_points")
        worst = rows[int(np.argmax(self.von_mises()[rows]))]
        covariance = VON_MISES @ self.stress_covariance(np.array([worst]))[0] @ VON_MISES.T
        return exceedance(np.linalg.eigvalsh(covariance), sigma)

    @cached_property
    def stress_moments(self) -> FloatArray:
        """Moments of the one-sided density of von Mises stress, float64[rows, 5], Pa^2 Hz^n, n = 0 .. 4.

        The density is that of Segalman's quadratic form, the sum of the densities of its parts: the
        equivalent von Mises stress of Preumont.

        Source: Preumont and Piefort, J. Vib. Acoust. 116 (1994) 245-248.
        """
        m, n = len(self.stiffness), len(self.points)
        roots = []
        for order in range(5):
            products = spectral.products(
                self.transfer, self.force, self.excitation.density, self.knots, 0.5 * order
            )
            roots.append(root_of(products[:m, :m]) / (2.0 * np.pi) ** (0.5 * order))
        out = np.zeros((n, 5))
        most = max(root.shape[1] for root in roots)
        for some in row_chunks(n, 48 * (2 * m + 2 * most)):
            stress = self.stress_of_shapes(some) @ VON_MISES.T
            for order, root in enumerate(roots):
                out[some, order] = (np.einsum("mrc,mk->krc", stress, root, optimize=True) ** 2).sum((0, 2))
        return out

    # In short

    @cached_property
    def miles(self) -> MilesCheck | None:
        """Miles' equation beside the answer; None where loads shake the part, or several inputs,
        or no lightly damped mode lies in the band."""
        low, high = self.knots[0], self.knots[-1]
        frequencies = self.modes.frequencies
        some = np.flatnonzero((frequencies >= low) & (frequencies <= high))
        if len(self.directions) != 1 or not self.directions.any() or not len(some):
            return None
        i = int(some[np.argmax(np.abs(self.force[some, 0]))])
        ratio = float(self.ratios[i])
        along = self.modes.dynamics.displacement(self.shapes[:, i]) @ self.directions[0]
        node = int(np.argmax(np.abs(along)))
        density = float(self.excitation.density(frequencies[[i]])[0, 0, 0].real)
        if not 0.0 < ratio < _LIGHT or density <= 0.0:
            return None
        single = spectral.miles(float(frequencies[i]), ratio, density)
        root = root_of(self.products("acceleration"))
        there = self._moving([node], self.directions.T)[:, 0, 0] @ root[:-1] + root[-1]
        return MilesCheck(
            mode=i + 1, frequency=float(frequencies[i]), ratio=ratio, density=density, single=single,
            amplified=single * abs(float(along[node] * self.force[i, 0])),
            computed=float(np.linalg.norm(there)),
        )  # fmt: skip

    def summary(self) -> Mapping[str, float]:
        """Largest root mean squares over the part, SI."""
        motion = {name: float(np.linalg.norm(self._motion(name), axis=1).max()) for name in MOTIONS}
        return motion | {"von_mises": float(self.von_mises().max(initial=0.0))}

    def __str__(self) -> str:
        largest = self.summary()
        stress = largest["von_mises"]
        top = show(float(self.modes.frequencies.max(initial=0.0)), "frequency")
        modes = f"{len(self.modes)} to {top}" if len(self.modes) else "none"
        motions = ", ".join(f"{name} {show(largest[name], MOTIONS[name][1])}" for name in MOTIONS)
        lines = [
            f"{self.name}: {self.excitation.said}; damping {self.damping}",
            f"    modes       {modes}, static shapes {len(self.extra)}; integrals to "
            f"{self.covariances.error:.0e}",
            f"    largest     {motions}, RMS",
            f"                von Mises stress {show(stress, 'pressure')} RMS; it is above 3σ, "
            f"{show(3.0 * stress, 'pressure')}, for {show(self.exceedance(3.0), 'share')} of the time",
        ]
        if self.miles is not None:
            lines.append(f"    check       {self.miles}")
        return "\n".join([*lines, *(f"    note        {note}" for note in self.notes)])

    def __repr__(self) -> str:
        return f"<RandomCase {self.name!r}: {self.excitation.said} of {self.model!r}>"


@dataclass(frozen=True, eq=False)
class _Signal:
    """What shapes (and the base) add up to at rows of a place, in some components whose squares are summed.

    Parameters
    ----------
    case : RandomCase
    values : float64[m, rows, c]
        Of each shape.
    base : float64[n, c], optional
        Of each input's base motion.
    order : int
        Derivatives in time of the motion.
    """

    case: RandomCase
    values: FloatArray
    base: FloatArray | None
    order: int

    def weighted(self, weights: FloatArray, *, separately: bool) -> _Signal:
        """The mean over rows; or, of what has no sign, rows apart, whose squares make the mean square."""
        if not separately:
            return _Signal(
                self.case, np.einsum("mrc,r->mc", self.values, weights)[:, None], self.base, self.order
            )
        root = np.sqrt(np.maximum(weights, 0.0))
        m, rows, c = self.values.shape
        values = (self.values * root[:, None]).reshape(m, 1, rows * c)
        base = None if self.base is None else (self.base[:, None, :] * root[:, None]).reshape(-1, rows * c)
        return _Signal(self.case, values, base, self.order)

    def at(self, row: int) -> _Signal:
        """One row alone."""
        return _Signal(self.case, self.values[:, row : row + 1], self.base, self.order)

    def largest(self) -> int:
        """The row whose mean square is largest."""
        case, m = self.case, len(self.values)
        products = spectral.products(
            case.transfer, case.force, case.excitation.density, case.knots, self.order
        )
        root = root_of(products if self.base is not None else products[:m, :m])
        total = np.zeros(self.values.shape[1])
        for some in row_chunks(len(total), 8 * self.values.shape[2] * (m + root.shape[1])):
            each = np.einsum("mrc,mk->rck", self.values[:, some], root[:m], optimize=True)
            if self.base is not None:
                each = each + np.einsum("nc,nk->ck", self.base, root[m:])
            total[some] = (each**2).sum(axis=(1, 2))
        return int(np.argmax(total))

    def density(self, frequencies: FloatArray) -> FloatArray:
        """One-sided density of the only row, float64[k]."""
        case, values = self.case, self.values[:, 0]
        out = np.empty(len(frequencies))
        m, n = case.force.shape
        for some in spectral.chunks(len(frequencies), 16 * (m + n + values.shape[1]) * n):
            f = frequencies[some]
            root = spectral.roots_of(case.excitation.density(f))
            rate = 2j * np.pi * f[:, None, None]
            response = np.einsum(
                "kmn,mc->knc", rate**self.order * (case.transfer(f, case.force) @ root), values
            )
            if self.base is not None:
                response += np.einsum("kin,ic->knc", rate ** (self.order - 2) * root, self.base)
            out[some] = (np.abs(response) ** 2).sum(axis=(1, 2))
        return out

    def psd(
        self, frequencies: FloatArray, label: str, dimension: str, given: ResponsePsd | None = None
    ) -> ResponsePsd:
        """The density at frequencies, with its moments."""
        case = self.case
        f, weights = spectral.gauss(spectral.panels(case.knots, case.transfer.poles))
        weighted = weights * self.density(f)
        moments = np.array([(f**n * weighted).sum() for n in range(5)])
        return ResponsePsd(
            frequencies, self.density(frequencies), moments, label, dimension, given, case.name
        )


def _said(words: str, direction: Any, invariant: bool, relative: bool | None) -> str:
    if relative is not None:
        words = f"{'relative' if relative else 'absolute'} {words}"
    if invariant:
        return words
    if isinstance(direction, str):
        return f"{words} {direction}"
    return f"{words} along {tuple(np.round(unit_vector(direction, name='psd direction'), 4).tolist())}"


def _is_point(on: Any) -> bool:
    return isinstance(on, tuple | list | np.ndarray) and len(on) == 3


def exceedance(weights: FloatArray, sigma: float) -> float:
    """P(Q > sigma^2 E[Q]) of Q = sum w_i z_i^2 with independent standard normal z; 0 if all weights are 0.

    The characteristic function is inverted along a parabola around its branch cut.

    Parameters
    ----------
    weights : float64[k]
        Not negative, but for rounding.
    sigma : float

    Source: Weideman and Trefethen, Math. Comput. 76 (2007) 1341-1356, for the contour.
    """
    weights = np.asarray(weights, np.float64)
    total = float(weights.sum())
    if total <= 0.0:
        return 0.0
    weights = np.maximum(weights, 0.0) / total
    largest, level = float(weights.max()), sigma * sigma
    # P = 1 / (2 pi i) int M(s) e^(-s level) / s ds, right of s = 0 and left of the branch cut from 1 / (2 w).
    start, opening = 0.5 / largest, 0.25 / largest
    reach = np.sqrt(1.0 + 40.0 / (opening * level)) if level > 0.0 else np.inf
    if not np.isfinite(reach):
        return 1.0
    u = np.arange(-reach, reach + _CONTOUR, _CONTOUR)
    s = start - opening * (1j * u + 1.0) ** 2
    slope = -2j * opening * (1j * u + 1.0)
    generating = np.prod(1.0 / np.sqrt(1.0 - 2.0 * weights[:, None] * s), axis=0)
    integral = _CONTOUR * np.sum(generating * np.exp(-s * level) / s * slope)
    return float(min(max(-integral.imag / (2.0 * np.pi), 0.0), 1.0))
