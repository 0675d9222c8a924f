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
from designtwin.results import stress as tensor
from designtwin.results.common import Field
from designtwin.results.modal_sums import MOTIONS, VON_MISES, ModalSum, root_of
from designtwin.results.places import rows_of
from designtwin.solvers import spectral
from designtwin.typing import FloatArray
from designtwin.units import STANDARD_GRAVITY, show, to_si

if TYPE_CHECKING:
    from designtwin.mesh.selections import Selection
    from designtwin.model.excitation import Excitation

_POWER = {"displacement": 0, "velocity": 1, "acceleration": 2}
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
    excitation : Excitation
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

    excitation: Excitation
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
        self, on: str | Selection | tuple[Any, Any, Any] | None = None, direction: Any = None,
        what: str = "acceleration",
    ) -> ResponsePsd:  # fmt: skip
        """Spectral density of the response at a point, or where it is largest on a place.

        Parameters
        ----------
        on : group name, selection or point (x, y, z), optional
            The whole part unless given. Of a place the point counts whose root mean square is largest.
        direction : "x", "y", "z" or three numbers; of stress "xx" .. "xz"
            None of von Mises stress, whose density is that of Segalman's quadratic form.
        what : str
            "acceleration" (absolute), "velocity" or "displacement" (relative to the base), "stress",
            "von_mises".

        Raises
        ------
        DesignTwinError
            If there is no such place, direction or response.
        """
        known = (*MOTIONS, "stress", "von_mises")
        if what.startswith("stress_"):
            what, direction = "stress", what[7:]
        if what not in known:
            hint = did_you_mean(what, known, n=1) or f"; there are {', '.join(known)}"
            raise DesignTwinError(f"psd of {what!r}{hint}")
        location = "points" if what in MOTIONS else "result_points"
        rows, weights, words = self._place(on, location)
        if what in MOTIONS:
            vector, said = _vector(direction, what)
            values, base = self._moving(rows, vector), self.directions @ vector
            _, dimension, title = MOTIONS[what]
            title = f"{title.lower()} {said}"
        else:
            values, base, dimension = self.stress_of_shapes(rows), None, "pressure"
            if what == "stress":
                if direction not in tensor.COMPONENTS:
                    raise DesignTwinError(
                        f"psd of stress: direction is {direction!r}; say {', '.join(tensor.COMPONENTS)}"
                    )
                values = values[:, :, [tensor.COMPONENTS.index(direction)]]
                title = f"stress {direction}"
            else:
                if direction is not None:
                    raise DesignTwinError("psd of von Mises stress has no direction; leave it out")
                values = values @ VON_MISES.T
                title = "von Mises stress"
        if weights is None:
            best = self._largest(values, base if what == "acceleration" else None, what)
            values = values[:, best]
            node = int(rows[best] if location == "points" else self.points.node[rows[best]])
            words = f"{words} at {show(self.mesh.points[node], 'length')}"
        else:
            values = np.einsum("mrc,r->mc", values, weights)
        density = self._density(values, base, what)
        given = None
        if base is not None and base.any() and what == "acceleration":
            given = self._input(base, f"base acceleration {said}")
        return ResponsePsd(
            frequencies=self._shown, values=density(self._shown), moments=self._moments(density),
            label=f"{title}{words}", dimension=dimension, input=given, case=self.name,
        )  # fmt: skip

    @cached_property
    def _shown(self) -> FloatArray:
        return spectral.plot_frequencies(self.knots, self.transfer.poles)

    def _place(self, on: Any, location: str) -> tuple[Any, FloatArray | None, str]:
        """Rows of a place and None, or of a cell and the weights of a point in it; the place in words."""
        if isinstance(on, tuple | list | np.ndarray) and len(on) == 3:
            xyz = np.asarray(to_si(on, "length", name="on"), np.float64)
            place = locate(self.mesh, xyz[None])[0]
            rows = self._rows_of_cells[place.cell]
            if location == "points":
                rows = self.points.node[rows]
            return rows, ELEMENTS[place.element].shape(place.xi)[0], f" at {show(xyz, 'length')}"
        selection = None if on is None else select(on)
        rows = rows_of(self.model, self.points, selection, location)
        return rows, None, "" if selection is None else f" on {selection}"

    def _moving(self, nodes: Any, vector: FloatArray) -> FloatArray:
        """Displacement of all shapes at nodes along a vector, float64[m, nodes, 1]."""
        dynamics = self.modes.dynamics
        each = [dynamics.displacement(q)[nodes] @ vector for q in self.shapes.T]
        return np.array(each).reshape(len(each), len(nodes), 1)

    def _largest(self, values: FloatArray, base: FloatArray | None, what: str) -> int:
        """The row whose root mean square is largest."""
        if base is not None:
            across = np.broadcast_to(base[:, None, None], (len(base), *values.shape[1:]))
            values = np.concatenate([values, across])
        root = root_of(self.products(what if what in MOTIONS else "displacement"))
        return int(np.argmax((np.einsum("mrc,mk->rkc", values, root, optimize=True) ** 2).sum(axis=(1, 2))))

    def _density(self, values: FloatArray, base: FloatArray | None, what: str) -> Any:
        """The function of frequencies float64[k] that gives the density of what shapes add up to."""
        power = _POWER.get(what, 0)

        def density(frequencies: FloatArray) -> FloatArray:
            out = np.empty(len(frequencies))
            m, n = self.force.shape
            for some in spectral.chunks(len(frequencies), 16 * (m + n) * n):
                f = frequencies[some]
                root = spectral.roots_of(self.excitation.density(f))  # type: ignore[attr-defined]
                q = self.transfer(f, self.force) @ root
                response = np.einsum("kmn,mc->knc", (2j * np.pi * f[:, None, None]) ** power * q, values)
                if power == 2 and base is not None:
                    response += np.einsum("kin,i->kn", root, base)[:, :, None]
                out[some] = (np.abs(response) ** 2).sum(axis=(1, 2))
            return out

        return density

    def _moments(self, density: Any) -> FloatArray:
        frequencies, weights = spectral.gauss(spectral.panels(self.knots, self.transfer.poles))
        weighted = weights * density(frequencies)
        return np.array([(frequencies**n * weighted).sum() for n in range(5)])

    def _input(self, base: FloatArray, label: str) -> ResponsePsd:
        """Density of the base's own acceleration along a direction."""

        def density(f: FloatArray) -> FloatArray:
            spectra = self.excitation.density(f)  # type: ignore[attr-defined]
            return np.asarray(np.einsum("i,kij,j->k", base, spectra, base).real)

        return ResponsePsd(
            self._shown, density(self._shown), self._moments(density), label, "acceleration", None, self.name
        )

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

    # In short

    @cached_property
    def miles(self) -> MilesCheck | None:
        """Miles' equation beside the answer; None where loads shake the part, several inputs, or no mode."""
        low, high = self.knots[0], self.knots[-1]
        frequencies = self.modes.frequencies
        some = np.flatnonzero((frequencies >= low) & (frequencies <= high))
        if len(self.directions) != 1 or not self.directions.any() or not len(some):
            return None
        i = int(some[np.argmax(np.abs(self.force[some, 0]))])
        ratio = float(self.ratios[i])
        along = self.modes.dynamics.displacement(self.shapes[:, i]) @ self.directions[0]
        node = int(np.argmax(np.abs(along)))
        density = float(self.excitation.density(frequencies[[i]])[0, 0, 0].real)  # type: ignore[attr-defined]
        if ratio <= 0.0 or density <= 0.0:
            return None
        single = spectral.miles(float(frequencies[i]), ratio, density)
        root = root_of(self.products("acceleration"))
        there = self._moving([node], self.directions[0])[:, 0, 0] @ root[:-1] + root[-1]
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
        motions = ", ".join(f"{name} {show(largest[name], MOTIONS[name][1])}" for name in MOTIONS)
        lines = [
            f"random response {self.name!r}",
            f"    input       {self.excitation.said}; damping {self.damping}",
            f"    modes       {len(self.modes)} to {top}, static shapes {len(self.extra)}; integrals to "
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


def _vector(direction: Any, what: str) -> tuple[FloatArray, str]:
    """A unit vector of a direction, and how it is said."""
    if isinstance(direction, str) and direction in ("x", "y", "z"):
        return np.eye(3)["xyz".index(direction)], direction
    try:
        vector = np.asarray(direction, np.float64)
    except (TypeError, ValueError):
        vector = np.empty(0)
    if vector.shape != (3,) or not np.isfinite(vector).all() or not vector.any():
        raise DesignTwinError(
            f"psd of {what}: direction is {direction!r}; 'x', 'y', 'z' or a vector of three numbers is wanted"
        )
    unit = vector / np.linalg.norm(vector)
    return unit, "along (" + ", ".join(f"{c:.3g}" for c in unit) + ")"
