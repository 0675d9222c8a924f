"""Response spectra: shocks and earthquakes as what they do to oscillators, and to a part by its modes."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from designtwin import parallel
from designtwin.analysis.random import check_modal, extra_shapes, loads_of, modes_for, state_notes
from designtwin.analysis.superposition import ModalSpace, damping_of
from designtwin.assembly.dynamics import Dynamics
from designtwin.errors import ModelError
from designtwin.kernels import shock
from designtwin.memory import Peak
from designtwin.model.damping import damping as read_damping
from designtwin.model.excitation import BaseMotion, Excitation, HalfSine, ResponseSpectrum, base_motion
from designtwin.progress import track
from designtwin.results import SolveInfo
from designtwin.results.modal import ModalCase
from designtwin.results.spectrum import ShockSpectrum, SpectrumCase, SpectrumInput
from designtwin.solvers import spectral
from designtwin.typing import BoolArray, FloatArray
from designtwin.units import show, to_si

if TYPE_CHECKING:
    from designtwin.model.model import Model
    from designtwin.solvers.solution import LinearSolver

KINDS = ("maximax", "positive", "negative", "primary", "residual")
QUANTITIES = {
    "acceleration": ("absolute acceleration", "acceleration"),
    "pseudo_acceleration": ("pseudo-acceleration", "acceleration"),
    "velocity": ("pseudo-velocity", "velocity"),
    "displacement": ("relative displacement", "length"),
}
RIGID = ("Lindley-Yow", None)

_STEPS = 2000
"""Straight pieces of a half sine: off its peak by 3e-7."""
_RESOLUTION, _TERMS = 0.1, 12
"""Radians of an oscillator's step and terms of its series: peaks to 3e-7."""
_PER_OCTAVE = 24
_ALL_MODES = 2.0
"""Modes are wanted up to this times the frequency from which on a part follows the base."""
_UNMOVED = 1e-6
"""Participation over the root of the whole mass below which an input does not move a mode."""


def shock_spectrum(
    pulse: Any, damping: Any = "5 %", *, frequencies: Any = None, kind: str = "maximax",
    what: str = "acceleration",
) -> ShockSpectrum:  # fmt: skip
    """Shock response spectrum: the largest answer of an oscillator over its natural frequency.

    Parameters
    ----------
    pulse : half_sine(...), base_motion(...), or list of (time, acceleration)
        Motion of the base, at rest before; it is not accelerated after the end.
    damping : share
        Of critical, of each oscillator; ``"5 %"`` is a quality factor of 10.
    frequencies : sequence of frequencies, optional
        Natural frequencies; 24 to the octave around the length of the pulse unless given.
    kind : str
        "maximax": largest of all; "positive", "negative": along the direction and against it; "primary":
        while the pulse lasts; "residual": after it.
    what : str
        "acceleration" (absolute), "pseudo_acceleration" (relative displacement times omega^2), "velocity"
        (pseudo: times omega), "displacement" (relative).

    Returns
    -------
    ShockSpectrum
        Exact for accelerations that are straight between points, peaks between steps to 3e-7.

    Raises
    ------
    ModelError
        If the pulse has no end, a frequency is not above zero, or damping is critical or above.

    Sources: Smallwood, Shock Vib. Bull. 51 (1981) 279-287; Harris' Shock and Vibration Handbook, 5th ed.
    (2002), ch. 23.
    """
    if kind not in KINDS:
        raise ModelError(f"shock_spectrum kind={kind!r}: say one of {', '.join(KINDS)}")
    if what not in QUANTITIES:
        raise ModelError(f"shock_spectrum what={what!r}: say one of {', '.join(QUANTITIES)}")
    pulse = pulse if isinstance(pulse, Excitation) else base_motion("x", pulse)
    if not isinstance(pulse, HalfSine | BaseMotion):
        raise ModelError(f"shock_spectrum wants half_sine(...), base_motion(...) or pairs; got {pulse.said}")
    ratio = to_si(damping, "share", name="shock_spectrum damping")
    if not isinstance(ratio, float) or not 0.0 <= ratio < 1.0:
        raise ModelError(
            f"shock_spectrum damping={damping!r}: a share of critical damping from 0 to below 100 %"
        )
    times, base = _course(pulse)
    f = _natural(pulse, times) if frequencies is None else np.atleast_1d(
        np.asarray(to_si(frequencies, "frequency", name="shock_spectrum frequencies"), np.float64)
    )  # fmt: skip
    if f.ndim != 1 or not len(f) or (f <= 0.0).any() or (np.diff(f) <= 0.0).any():
        raise ModelError("shock_spectrum: natural frequencies must be above zero and increase")
    extremes = _extremes(times, base, f, np.full(len(f), ratio))
    acceleration, displacement = extremes[:, 0], extremes[:, 1]
    omega = 2.0 * np.pi * f
    peaks = {
        "acceleration": acceleration,
        "pseudo_acceleration": displacement * (omega**2)[:, None],
        "velocity": displacement * omega[:, None],
        "displacement": displacement,
    }[what]
    words, dimension = QUANTITIES[what]
    label = f"{'' if kind == 'maximax' else kind + ' '}{words} of oscillators damped {show(ratio, 'share')}"
    return ShockSpectrum(f, _of_kind(peaks, kind), label, dimension, ratio)


def _of_kind(peaks: FloatArray, kind: str) -> FloatArray:
    """One number of largest and smallest while and after a pulse lasts, float64[k, 4]."""
    every: dict[str, FloatArray] = {
        "maximax": np.abs(peaks).max(axis=1),
        "positive": np.maximum(peaks[:, 0], peaks[:, 2]),
        "negative": -np.minimum(peaks[:, 1], peaks[:, 3]),
        "primary": np.abs(peaks[:, :2]).max(axis=1),
        "residual": np.abs(peaks[:, 2:]).max(axis=1),
    }
    return every[kind]


def _course(pulse: HalfSine | BaseMotion) -> tuple[FloatArray, FloatArray]:
    """Times, s, and accelerations, m/s^2, of a pulse, straight between."""
    if isinstance(pulse, HalfSine):
        times = np.linspace(0.0, pulse.length, _STEPS + 1)
        return times, pulse.at(times)
    end = pulse.duration
    if end is None:
        raise ModelError(
            f"{pulse.said}: a spectrum is of a motion that ends; give a table of times and accelerations"
        )
    times = np.asarray(pulse.breakpoints, np.float64)
    if len(times) < 2:
        raise ModelError(f"{pulse.said}: two times or more are wanted")
    return times, pulse.at(times)


def _natural(pulse: HalfSine | BaseMotion, times: FloatArray) -> FloatArray:
    """Natural frequencies that show all of a spectrum, Hz."""
    length = float(times[-1] - times[0])
    low, high = 0.05 / length, 20.0 / length
    if isinstance(pulse, BaseMotion):  # a record shakes as fast as its points allow
        high = max(high, 0.25 / float(np.median(np.diff(times))))
    return np.asarray(np.geomspace(low, high, int(np.ceil(_PER_OCTAVE * np.log2(high / low))) + 1))


def _extremes(times: FloatArray, base: FloatArray, f: FloatArray, ratio: FloatArray) -> FloatArray:
    out = np.empty((len(f), 2, 4))
    times, base = np.array(times), np.array(base)  # a kernel compiles once more for what is read-only
    parallel.run(shock.extremes, len(f), times, base, 2.0 * np.pi * f, ratio, _RESOLUTION, _TERMS, out)
    return out


def solve_spectrum(
    model: Model | Dynamics, excitation: Excitation, *, modes: ModalCase | None = None, up_to: Any = None,
    count: int | None = None, damping: Any = None, combine: str | None = None,
    rigid: str | None = "Lindley-Yow", prestress: str | None = None, solver: LinearSolver | None = None,
    name: str = "spectrum",
) -> SpectrumCase:  # fmt: skip
    """Estimate the peaks of the response to a shock or an earthquake from the peaks of the modes.

    Each mode's peak follows from the spectrum at its frequency. Modes peak at different times, so their peaks
    are combined by CQC or SRSS. The part of a peak that comes in phase with the base (all of it in modes far
    above the spectrum's peak) is summed with its sign, together with the mass that the modes miss, whose
    static answer follows the peak acceleration of the base. Inputs that act together are combined by SRSS.

    Parameters
    ----------
    model : Model or reduced model
    excitation : response_spectrum(...), half_sine(...), base_motion(...), or several together(...)
        Of pulses the shock spectrum at each mode's own frequency and damping is taken.
    modes : ModalCase, optional
        What `solve_modes` found; else modes are found here.
    up_to, count : optional
        Modes to find, as in `solve_modes`; unless given, all up to the end of the table, or up to ten over
        the length of the pulse.
    damping : share, table, Damping, optional
        Of the modes, for pulses; a response spectrum states its own.
    combine : "CQC" or "SRSS", optional
        As the response spectrum says unless given; CQC for pulses.
    rigid : "Lindley-Yow" or None
        How much of a peak comes in phase with the base: the peak acceleration of the base over the spectral
        one, above the frequency at which the spectrum is largest; None: nothing, as in plain CQC or SRSS.
    prestress : str, optional
        The load case under which the part vibrates, where modes are not given; see `solve_modes`.
    solver : LinearSolver, optional
    name : str
        Of the case.

    Returns
    -------
    SpectrumCase
        ``case.field("von_mises")``, ``case.table()``.

    Raises
    ------
    ModelError
        If the excitation is none of these or makes no sense on the model, or it moves what nothing holds.

    Sources: Der Kiureghian, Earthquake Engng Struct. Dyn. 9 (1981) 419-435 (CQC); Lindley and Yow, 2nd ASCE
    Conf. Civil Engng and Nuclear Power (1980) and US NRC Regulatory Guide 1.92, rev. 3 (2012) (in-phase part
    and missing mass).
    """
    check_modal(model, excitation, modes, (up_to, count, prestress), solver, "spectrum")
    for one in excitation.inputs:
        if not isinstance(one, ResponseSpectrum | HalfSine | BaseMotion):
            raise ModelError(f"solve_spectrum: {one.said} does not move the base; solve_dynamics answers it")
    if combine not in (None, "CQC", "SRSS"):
        raise ModelError(f"combine is {combine!r}; it may be 'CQC' or 'SRSS'")
    if rigid not in RIGID:
        raise ModelError(f"rigid is {rigid!r}; it may be 'Lindley-Yow' or None")
    peak = Peak()
    top = max(_highest(one) for one in excitation.inputs)
    with track("response spectrum", total=2) as progress:
        modes, seconds = modes_for(model, modes, up_to, count, top, prestress, solver)
        for one in excitation.inputs:
            one.check(modes.model)
        progress.step("static shapes")
        started = time.perf_counter()
        loads, directions = loads_of(modes.dynamics, excitation)
        pulses = any(not isinstance(one, ResponseSpectrum) for one in excitation.inputs)
        stated = damping_of(damping, modes.dynamics) if pulses else None
        space = ModalSpace.of(modes, loads, stated)
        seconds["static shapes"] = time.perf_counter() - started
        progress.step("combine modes")
        started = time.perf_counter()
        each, combined = _combine(space, loads, directions, excitation, combine, rigid is not None)
        seconds["combine"] = time.perf_counter() - started
    notes = state_notes(modes)
    if pulses and space.coupled:
        notes.append("dampers couple the modes, which the spectrum takes one by one; solve_dynamics does not")
    if damping is not None and not pulses:
        notes.append(f"a response spectrum holds its damping; {read_damping(damping).said} is not used")
    return SpectrumCase(
        name=name, model=modes.model, recovery=modes.recovery, modes=modes, extra=extra_shapes(space),
        shapes=space.shapes, stiffness=space.stiffness, directions=directions,
        info=SolveInfo(
            solver=f"{len(modes)} modes and {space.shapes.shape[1] - len(modes)} static shapes",
            n_dof=modes.dynamics.size, iterations=0, seconds=seconds, notes=modes.info.notes,
            residual=modes.residual, peak_bytes=peak.bytes,
        ),
        notes=tuple(notes), excitation=excitation, each=tuple(each), combined=combined,
    )  # fmt: skip


def _highest(one: Any) -> float:
    """The frequency, Hz, from which on the part follows the base."""
    if isinstance(one, ResponseSpectrum):
        return one.band[1]
    if isinstance(one, HalfSine):
        return 10.0 / float(one.length)
    times, _ = _course(one)
    return max(10.0 / float(times[-1] - times[0]), 0.25 / float(np.median(np.diff(times))))


def _combine(
    space: ModalSpace, loads: FloatArray, directions: FloatArray, excitation: Excitation, combine: str | None,
    in_phase: bool,
) -> tuple[list[SpectrumInput], dict[str, FloatArray]]:  # fmt: skip
    """What each input does to each mode, and the combined products of all peaks."""
    modes, m, r, n = space.modes, len(space.modes), space.shapes.shape[1], len(directions)
    force = space.shapes.T @ loads
    omega = 2.0 * np.pi * modes.frequencies
    products = {"displacement": np.zeros((r, r)), "velocity": np.zeros((r, r)),
                "acceleration": np.zeros((r + n, r + n))}  # fmt: skip
    each = []
    for a, one in enumerate(excitation.inputs):
        p = force[:m, a]
        base = modes.dynamics.base(directions[a])
        whole = float((base * modes.dynamics.inertia(base)).sum())
        moved = np.abs(p) > _UNMOVED * np.sqrt(whole)
        if (moved & (omega == 0.0)).any():
            raise ModelError(
                f"{one.said} moves the part where nothing holds it, and no spectrum says how far; support "
                "it, or use solve_dynamics"
            )
        peaks = _spectral(one, modes.frequencies, space.ratio[:m], moved)
        q = np.zeros(m)
        q[moved] = p[moved] * peaks.pseudo[moved] / omega[moved] ** 2
        rigid = np.zeros(m)
        if in_phase:
            beyond = moved & (modes.frequencies >= peaks.largest_at) & (peaks.pseudo > 0.0)
            rigid[beyond] = np.minimum(peaks.zero_period / peaks.pseudo[beyond], 1.0)
        rule = combine or (one.combine if isinstance(one, ResponseSpectrum) else "CQC")
        together = spectral.correlation(omega, peaks.ratio) if rule == "CQC" else np.eye(m)
        random = np.sqrt(1.0 - rigid**2)

        def add(what: str, periodic: FloatArray, static: FloatArray, together: FloatArray = together) -> None:
            products[what][:m, :m] += together * np.outer(periodic, periodic)
            products[what] += np.outer(static, static)

        missed = np.zeros(r)
        missed[:m] = rigid * q
        missed[m:] = peaks.zero_period * force[m:, a] / space.stiffness[m:]
        add("displacement", random * q, missed)
        add("velocity", random * omega * q, np.zeros(r))
        # Absolute: each mode's, and the base's own of the mass that they miss.
        rest = np.zeros(r + n)
        rest[:m] = peaks.zero_period * p - rigid * p * peaks.absolute
        rest[r + a] = peaks.zero_period
        add("acceleration", -random * p * peaks.absolute, rest)
        each.append(
            SpectrumInput(
                said=one.said, combine=rule, participation=-p, acceleration=peaks.pseudo, rigid=rigid,
                zero_period=peaks.zero_period, captured=float((p * p).sum()) / whole,
            )
        )  # fmt: skip
    return each, products


@dataclass(frozen=True, eq=False)
class _Peaks:
    """What a spectrum says of modes.

    Parameters
    ----------
    pseudo, absolute : float64[m]
        Pseudo- and absolute acceleration, m/s^2; 0 of modes that are not moved.
    ratio : float64[m]
        Share of critical damping.
    zero_period : float
        Peak acceleration of the base, m/s^2.
    largest_at : float
        Frequency at which the spectrum is largest, Hz.
    """

    pseudo: FloatArray
    absolute: FloatArray
    ratio: FloatArray
    zero_period: float
    largest_at: float


def _spectral(one: Any, frequencies: FloatArray, ratio: FloatArray, moved: BoolArray) -> _Peaks:
    pseudo, absolute = np.zeros(len(frequencies)), np.zeros(len(frequencies))
    if isinstance(one, ResponseSpectrum):
        if moved.any():
            pseudo[moved] = one.at(frequencies[moved])
        largest = int(np.flatnonzero(one.values >= (1.0 - 1e-9) * one.values.max())[-1])
        damped = np.full(len(frequencies), float(one.damping))
        return _Peaks(pseudo, pseudo, damped, float(one.values[-1]), float(one.frequencies[largest]))
    if (ratio[moved] >= 1.0).any():
        raise ModelError(
            f"{one.said}: a mode is damped above critical, and no oscillator; use solve_dynamics"
        )
    times, base = _course(one)
    some = _extremes(times, base, frequencies[moved], ratio[moved])
    absolute[moved] = np.abs(some[:, 0]).max(axis=1)
    pseudo[moved] = np.abs(some[:, 1]).max(axis=1) * (2.0 * np.pi * frequencies[moved]) ** 2
    f = _natural(one, times)
    typical = float(np.median(ratio[moved])) if moved.any() else 0.0
    spectrum = np.abs(_extremes(times, base, f, np.full(len(f), typical))[:, 0]).max(axis=1)
    return _Peaks(pseudo, absolute, ratio, float(np.abs(base).max()), float(f[int(np.argmax(spectrum))]))
