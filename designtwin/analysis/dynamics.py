"""Motion over time under loads and base motion: by modes, exactly where loads are linear over a step, or by
implicit steps of the whole model.

Sources: Chung and Hulbert, J. Appl. Mech. 60 (1993) 371-375; Nigam and Jennings, Bull. Seismol. Soc. Am. 59
(1969) 909-922; Zienkiewicz and Xie, Earthq. Eng. Struct. Dyn. 20 (1991) 871-887: the error of a step shows in
the change of acceleration; Dickens, Nakagawa and Wittbrodt, Comput. Struct. 62 (1997) 985-998: static shapes
beside modes.
"""

from __future__ import annotations

import hashlib
import json
import time as clock
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from designtwin.analysis.modal import dynamics_of, recovery_of, solve_modes
from designtwin.analysis.static import check_arguments
from designtwin.analysis.superposition import ModalSpace, refuse_unheld
from designtwin.assembly.dynamics import Dynamics
from designtwin.assembly.losses import loss_stiffness
from designtwin.assembly.reduced import ReducedModel
from designtwin.errors import ConvergenceError, DesignTwinError, ModelError
from designtwin.memory import Peak
from designtwin.model.damping import Damping
from designtwin.model.damping import damping as damping_of
from designtwin.model.excitation import Excitation
from designtwin.model.model import LoadCase, Model
from designtwin.progress import Progress, track
from designtwin.results import Frames, SolveInfo, StepRecord, case_folder
from designtwin.results.dynamics import DynamicsCase, ModalMotion, NodalMotion
from designtwin.results.modal import ModalCase
from designtwin.solvers.krylov import dot
from designtwin.solvers.solution import LinearSolver
from designtwin.solvers.stepping import Recursion, Scheme, State, Stepped, Stepper, hermite_energy
from designtwin.typing import FloatArray
from designtwin.units import show, to_si

_PER_PERIOD = 20  # instants in a period of the highest mode
_PERIODS = 3.0  # of the lowest mode after the excitation ends, where no duration is given
_LINEAR = 1e-4  # of its largest value, by which a load may leave the straight line within a step
_HALVINGS = 6
_FEW = 64  # breakpoints that are hit one by one
_MOST = 200_000  # instants
_MOST_STEPS = 10_000_000  # of a fixed size
_INSTANT = 1e10  # times the highest squared frequency, from which on a shape follows its load at once
_TOLERANCE = 1e-3  # error of a step over the largest displacement
_GROW = 1.0 / 16.0  # of the tolerance below which steps double
_SMALLEST = 1e-9
_FIRST = 1e-2  # of the duration
_OWN = 0.1  # share of the static displacement that counts as displacement from the start on
_SLIP = 1e-6  # of the initial displacement that supports may not let through


def solve_dynamics(
    model: Model | Dynamics,
    excitation: Excitation,
    *,
    name: str = "",
    duration: Any = None,
    modes: ModalCase | None = None,
    up_to: Any = None,
    count: int | None = None,
    damping: Any = None,
    method: str = "modal",
    rho_infinity: float | None = None,
    step: Any = None,
    tolerance: float | None = None,
    keep: int = 1,
    initial: Any = None,
    prestress: str | None = None,
    store: str | Path | None = None,
    solver: LinearSolver | None = None,
) -> DynamicsCase:
    """Follow the motion M u'' + C u' + K u = f over time.

    Parameters
    ----------
    model : Model or reduced model
    excitation : Excitation
        ``base_motion``, ``half_sine``, ``force_history``, or several of them ``together``.
    name : str, optional
        Of the case.
    duration : time, optional
        By modes it may be left out: till the excitation ends, and three periods of the lowest mode more.
    modes : ModalCase, optional
        Of the same model; found unless given, ``count`` of them or all ``up_to`` a frequency.
    damping : optional
        ``"1.5 %"``, a table, ``rayleigh(...)``; see `designtwin.damping`. Dampers of the model add to it.
    method : str
        ``"modal"``: superposition of modes and of the static shapes that they leave out, exact for loads
        that are linear over a step; or steps of the whole model: ``"generalized-alpha"``, ``"HHT"``,
        ``"Newmark"`` (average acceleration), ``"central difference"`` (explicit, with the consistent mass).
    rho_infinity : float, optional
        What generalized-alpha and HHT leave of the highest frequencies; see `Scheme.of`.
    step : time, optional
        A fixed step; its error is then told and not controlled. By modes unless given 20 instants to a period
        of the highest one, and as many as the excitation asks for.
    tolerance : float, optional
        Error that one step of the whole model may make over the largest displacement (root mean square over
        the mass); 0.001 unless given.
    keep : int
        Every how many steps an instant is kept; energies count every step.
    initial : optional
        Displacement at the start, float64[n_points, 3], m, or a static case; or the pair of displacement and
        velocity. At rest unless given.
    prestress : str, optional
        The load case under which the part moves; see `solve_modes`.
    store : path, optional
        Folder for instants and checkpoints; an interrupted run goes on from there.
    solver : LinearSolver, optional

    Returns
    -------
    DynamicsCase
        Displacements and velocities are those about the base, accelerations absolute.

    Raises
    ------
    ModelError
        If an argument makes no sense.
    MissingPropertyError
        If a material states no density.
    ConvergenceError
        If a step does not converge however small.
    """
    plan = _Plan.of(model, excitation, duration, method, rho_infinity, step, tolerance, keep, damping, solver)
    if method != "modal" and (modes is not None or up_to is not None or count is not None):
        raise ModelError(f"method={method!r} steps the whole model; leave out modes=, up_to= and count=")
    if modes is not None and prestress is not None:
        raise ModelError("modes have their prestress in them; leave prestress= out")
    peak = Peak()
    with track("motion over time", total=1.0) as progress:
        began = clock.perf_counter()
        progress.step("assemble", 0.0)
        if modes is not None:
            equations, state = modes.dynamics, modes.state
        else:
            equations, state = dynamics_of(model, prestress=prestress, solver=solver)
        load = _Load(equations, excitation)
        start = _start(equations, initial)
        seconds = {"assemble": clock.perf_counter() - began}
        key = _key(
            model, plan, excitation, start, (up_to, count, prestress, None if modes is None else len(modes))
        )
        frames = Frames.resume(case_folder(store, name or "motion"), key)
        if method == "modal":
            began = clock.perf_counter()
            if modes is None:
                progress.step("find modes", 0.0)
                modes = solve_modes(equations, count=count, up_to=up_to, solver=solver).modes
                seconds["modes"] = clock.perf_counter() - began
            return _by_modes(plan, modes, load, start, frames, name, state, seconds, peak, progress)
        run = _Run(plan, equations, load, start, frames, solver)
        run.go(progress)
        return run.answer(name, state, seconds, peak)


@dataclass(frozen=True)
class _Plan:
    """What the user asked, SI."""

    duration: float | None
    method: str
    scheme: Scheme | None
    step: float | None
    tolerance: float
    keep: int
    damping: Damping | None

    @classmethod
    def of(
        cls, model: object, excitation: object, duration: Any, method: str, rho: float | None, step: Any,
        tolerance: float | None, keep: int, damping: Any, solver: LinearSolver | None,
    ) -> _Plan:  # fmt: skip
        if not isinstance(model, Dynamics):
            check_arguments(model, solver)
        if not isinstance(excitation, Excitation):
            raise ModelError(
                f"an excitation is wanted, such as half_sine('z', '50 g', '11 ms'); got {excitation!r}"
            )
        if excitation.kind != "transient":
            raise ModelError(
                f"{excitation.said} has no course in time; half_sine, base_motion and force_history have one"
            )
        excitation.check(model.model if isinstance(model, Dynamics) else model)  # type: ignore[arg-type]
        modal = method == "modal"
        if modal and rho is not None:
            raise ModelError("rho_infinity belongs to steps of the whole model; modes are stepped exactly")
        if modal and tolerance is not None:
            raise ModelError("tolerance belongs to steps of the whole model; modes are stepped exactly")
        if step is not None and tolerance is not None:
            raise ModelError(
                "state step= (fixed steps) or tolerance= (steps that follow their error), not both"
            )
        scheme = None if modal else Scheme.of(method, rho)
        total = None if duration is None else _positive(duration, "duration")
        if total is None and not modal:
            raise ModelError("state the duration, such as duration='50 ms'")
        fixed = None if step is None else _positive(step, "step")
        if fixed is not None and total is not None and fixed > total:
            raise ModelError(f"step {show(fixed, 'time')} is longer than the duration {show(total, 'time')}")
        if fixed is not None and total is not None and total > _MOST_STEPS * fixed:
            raise ModelError(
                f"steps of {show(fixed, 'time')} over {show(total, 'time')} are {total / fixed:,.0f}; state "
                "a larger step or a shorter duration"
            )
        if tolerance is not None and not 0.0 < float(tolerance) < 1.0:
            raise ModelError(
                f"tolerance is {tolerance!r}; a share of the largest displacement is wanted: 0.001"
            )
        if isinstance(keep, bool) or not isinstance(keep, int) or keep < 1:
            raise ModelError(f"keep is {keep!r}; every how many steps is an instant to be kept, 1 or more?")
        stated = None if damping is None else damping_of(damping)
        if not modal and stated is not None and not stated.is_rayleigh:
            raise ModelError(
                f"{stated.said}: such damping has no matrix of the whole model; say method='modal', or "
                "rayleigh(('10 Hz', '2 %'), ('1 kHz', '2 %'))"
            )
        return cls(total, method, scheme, fixed, tolerance or _TOLERANCE, keep, stated)

    @property
    def rayleigh(self) -> tuple[float, float]:
        """Factors of M and K, 1/s and s."""
        if self.damping is None or not self.damping.is_rayleigh:
            return 0.0, 0.0
        return float(self.damping.alpha), float(self.damping.beta)


def _positive(value: Any, name: str) -> float:
    number = to_si(value, "time", name=name)
    if not isinstance(number, float) or not (number > 0.0 and np.isfinite(number)):
        raise ModelError(f"{name} is {value!r}; one time above zero is wanted")
    return number


class _Load:
    """What drives the motion: columns of forces, and how much of each over time."""

    def __init__(self, equations: Dynamics, excitation: Excitation) -> None:
        self.equations, self.excitation = equations, excitation
        made = [column(equations, one) for one in excitation.inputs]
        self.columns = np.stack([one for one, _ in made], axis=1)
        """float64[size, k], N."""
        self.nodal = [forces for _, forces in made]
        """On the nodes, float64[n_points, 3], N, of loads; None of base motion."""
        self.directions = np.stack([np.asarray(one.direction, np.float64) for one in excitation.inputs])
        """float64[k, 3]: acceleration of the base per unit of each."""

    def at(self, times: FloatArray) -> FloatArray:
        """How much of each at times [n], float64[n, k]."""
        t = np.atleast_1d(np.asarray(times, np.float64))
        values: Any = [one.at(t) for one in self.excitation.inputs]  # type: ignore[attr-defined]
        return np.stack(values, axis=1)

    def external(self, time: float) -> FloatArray:
        """Forces on the nodes, float64[n_points, 3], N; base motion has none."""
        out = np.zeros((self.equations.model.mesh.n_points, 3))
        for forces, factor in zip(self.nodal, self.at(np.array([time]))[0], strict=True):
            if forces is not None:
                out += factor * forces
        return out

    def breakpoints(self, end: float) -> FloatArray:
        """Instants inside at which it kinks, s."""
        points = np.asarray(self.excitation.breakpoints, np.float64)  # type: ignore[attr-defined]
        return points[(points > 1e-9 * end) & (points < (1.0 - 1e-9) * end)]


def column(equations: Dynamics, one: Excitation) -> tuple[FloatArray, FloatArray | None]:
    """Forces of a unit of an input on the unknowns, float64[size], and on the nodes where it is a load, N."""
    refuse_unheld(equations, one)
    if one.is_base:
        motion = equations.base(one.direction)
        return -equations.force(equations.inertia(motion)), None
    forces = one.nodal_forces(equations.model)
    return equations.force(forces), forces


def _start(equations: Dynamics, initial: Any) -> tuple[FloatArray, FloatArray]:
    """Displacement and velocity at the start in the unknowns, float64[size] each."""
    pair = initial if isinstance(initial, tuple | list) and len(initial) == 2 else (initial, None)
    words = ("initial displacement", "initial velocity")
    return tuple(_unknowns(equations, one, what) for one, what in zip(pair, words, strict=True))  # type: ignore[return-value]


def _unknowns(equations: Dynamics, nodal: Any, what: str) -> FloatArray:
    """Unknowns of a nodal field; the closest by mass, which is all of it unless supports are in the way."""
    if nodal is None:
        return np.zeros(equations.size)
    n = equations.model.mesh.n_points
    field = np.asarray(getattr(nodal, "displacement", nodal), np.float64)
    if field.shape != (n, 3) or not np.isfinite(field).all():
        raise ModelError(f"{what}: finite values of shape [{n}, 3] are wanted, got shape {list(field.shape)}")
    scheme = Stepper(equations, Scheme.of("Newmark"))
    zero = np.zeros(equations.size)
    q = scheme.begin(0.0, zero, zero, equations.force(equations.inertia(field))).a
    used = equations.model.mesh.used_nodes
    off = float(np.abs(equations.displacement(q) - field)[used].max(initial=0.0))
    most = float(np.abs(field[used]).max(initial=0.0))
    if off > _SLIP * most:
        raise ModelError(
            f"{what} moves what supports or links hold, by {off:.2g} of {most:.2g} at most; a field that "
            "they let through is wanted"
        )
    return q


def _key(model: Any, plan: _Plan, excitation: Excitation, start: Any, more: Any) -> str:
    """Names what is computed: another model or plan has another."""
    try:
        what = [
            (model.model if isinstance(model, Dynamics) else model).content_hash(),
            excitation.content_hash(),
        ]
    except DesignTwinError:
        what = [f"functions {id(model)} {id(excitation)}"]  # a Python function is not found again
    if isinstance(model, Dynamics):
        what.append(f"{type(model).__name__} {model.size}")
    digest = hashlib.sha256(b"".join(one.tobytes() for one in start)).hexdigest()
    damping = None if plan.damping is None else plan.damping.content_hash()
    told = repr(replace(plan, damping=None))
    return hashlib.sha256(json.dumps([what, digest, told, damping, repr(more)]).encode()).hexdigest()


# By modes


@dataclass(frozen=True, eq=False)
class _Space:
    """Shapes with the unit mass, and what resists and damps their amplitudes.

    shapes: float64[size, m]; stiffness: float64[m]; damping: float64[m] or float64[m, m]; is_lossy: whether
    some of the damping stands for loss factors.
    """

    shapes: FloatArray
    stiffness: FloatArray
    damping: FloatArray
    is_lossy: bool

    @classmethod
    def of(cls, modes: ModalCase, columns: FloatArray, start: FloatArray, damping: Damping | None) -> _Space:
        """Modes, and static shapes of loads float64[size, k] and of the start [size, 2], as far as modes lack
        them.
        """
        resisting = modes.dynamics.stiffness(start)  # what it takes to hold the part so
        space = ModalSpace.of(modes, np.hstack([columns, resisting]), damping)
        k, mass = space.stiffness, space.mass
        # Shapes all but without mass follow at once: a mass that no one sees, and critical damping.
        least = k / (_INSTANT * max(float(modes.omega2.max(initial=0.0)), 1.0))
        light = mass < least
        mass = np.where(light, least, mass)
        root = np.sqrt(mass)
        omega = np.sqrt(np.maximum(k / mass, 0.0))
        c = space.damping / np.outer(root, root)
        lost = space.loss / np.outer(root, root)
        if lost.any():
            safe = np.sqrt(np.where(omega > 0.0, omega, np.inf))
            c = c + lost / np.outer(safe, safe)
        c[light, light] = 2.0 * omega[light]
        alone = not space.coupled
        return cls(space.shapes / root, omega**2, np.diag(c).copy() if alone else c, bool(lost.any()))


def _by_modes(
    plan: _Plan, modes: ModalCase, load: _Load, start: tuple[FloatArray, FloatArray], frames: Frames,
    name: str, state: LoadCase, seconds: dict[str, float], peak: Peak, progress: Progress,
) -> DynamicsCase:  # fmt: skip
    """Superpose modes."""
    equations = modes.dynamics
    began = clock.perf_counter()
    space = _Space.of(modes, load.columns, np.stack(start, axis=1), plan.damping)
    end = plan.duration or _till(load.excitation, modes)
    times, bent = _grid(load, end, plan.step, float(modes.frequencies.max(initial=0.0)))
    seconds["shapes"] = clock.perf_counter() - began
    began = clock.perf_counter()
    if frames.load() is None or len(frames) == 0:
        _march(space, load, start, times, plan.keep, frames, equations, progress)
    seconds["steps"] = clock.perf_counter() - began
    notes = list(modes.info.notes)
    if space.is_lossy:
        notes.append("a loss factor has no equal over time: it stands for half of it as a share of critical")
    info = SolveInfo(
        solver=_said(modes, space.shapes.shape[1] - len(modes)),
        n_dof=equations.size, iterations=0, seconds=seconds, notes=tuple(notes), residual=modes.residual,
        peak_bytes=peak.bytes,
    )  # fmt: skip
    steps = StepRecord(times[1:], np.diff(times), np.full(len(times) - 1, np.nan))
    motion = ModalMotion(frames, equations, space.shapes)
    return _answer(
        plan, name, equations, load, frames, motion, state, info, modes.residual, steps, bent,
        np.asarray(frames.times),
    )  # fmt: skip


def _said(modes: ModalCase, more: int) -> str:
    """The shapes in words."""
    words = []
    if len(modes):
        highest = show(float(modes.frequencies.max()), "frequency")
        words.append(f"{len(modes)} mode{'s' if len(modes) > 1 else ''} to {highest}")
    if more:
        words.append(f"{more} static shape{'s' if more > 1 else ''}")
    return " and ".join(words) or "no shape"


def _till(excitation: Any, modes: ModalCase) -> float:
    """The end of the excitation, and some periods of the lowest mode."""
    ends = excitation.duration
    elastic = modes.frequencies[modes.n_rigid :]
    if ends is None or not len(elastic):
        raise ModelError(
            f"{excitation.said} has no end; state the duration"
            if ends is None
            else "there is no mode whose period could tell; state the duration"
        )
    return float(ends + _PERIODS / elastic[0])


def _grid(load: _Load, end: float, step: float | None, highest: float) -> tuple[FloatArray, float]:
    """Instants, and by how much of its largest value the excitation leaves straight lines between them."""
    points = load.breakpoints(end)
    wanted = step or min(end / 100.0, 1.0 / (_PER_PERIOD * highest) if highest > 0.0 else end)
    gaps = np.diff(points)
    spacing = None
    if len(points) > _FEW:
        even = gaps.max() - gaps.min() <= 1e-6 * gaps.max()
        spacing = float(gaps.mean()) if even else None
        points = points[[0, -1]]
    stops = np.concatenate([[0.0], points, [end]])
    for _ in range(_HALVINGS):
        size = wanted if spacing is None else spacing / np.ceil(spacing / wanted - 1e-9)
        each = [max(int(np.ceil((b - a) / size - 1e-6)), 1) for a, b in pairwise(stops)]
        if sum(each) >= _MOST:
            raise ModelError(
                f"{sum(each) + 1:,} instants of {show(size, 'time')} are more than can be kept; use fewer "
                "modes (up_to=), a shorter duration, or a larger step="
            )
        pieces = [np.linspace(a, b, n + 1)[:-1] for (a, b), n in zip(pairwise(stops), each, strict=True)]
        if step is not None and len(stops) == 2:  # a fixed step, and what is left to the end
            pieces = [np.arange(int(np.ceil(end / step - 1e-9))) * step]
        times = np.append(np.concatenate(pieces), end)
        values = load.at(times)
        middle = load.at(0.5 * (times[1:] + times[:-1]))
        most = float(np.abs(values).max(initial=0.0))
        bent = float(np.abs(middle - 0.5 * (values[1:] + values[:-1])).max()) / most if most > 0.0 else 0.0
        if bent <= _LINEAR or step is not None or spacing is not None:
            break
        wanted *= 0.5
    return times, bent


def _march(
    space: _Space, load: _Load, start: tuple[FloatArray, FloatArray], times: FloatArray, keep: int,
    frames: Frames, equations: Dynamics, progress: Progress,
) -> None:  # fmt: skip
    """Step through all instants."""
    k, c = space.stiffness, space.damping
    forces = space.shapes.T @ load.columns
    given = load.at(times)
    carried = space.shapes.T @ equations.mass(np.stack(start, axis=1))
    q, v = np.ascontiguousarray(carried[:, 0]), np.ascontiguousarray(carried[:, 1])
    p = forces @ given[0]
    a = p - k * q - (c * v if c.ndim == 1 else c @ v)
    put_in = lost = 0.0
    made: dict[float, Recursion] = {}

    def keep_it(i: int) -> None:
        frames.append(
            float(times[i]), np.empty(0), displacement=q, velocity=v, acceleration=a,
            base=given[i] @ load.directions, kinetic=0.5 * float(v @ v), strain=0.5 * float(q @ (k * q)),
            dissipated=lost, input=put_in,
        )  # fmt: skip

    keep_it(0)
    for i, h in enumerate(np.diff(times)):
        size = float(f"{h:.9e}")  # sizes that differ by rounding alone share a table
        if size not in made:
            made[size] = Recursion.of(k, c, size)
        then = forces @ given[i + 1]
        q1, v1, area = made[size].advance(q, v, p, then)
        a1 = then - k * q1 - (c * v1 if c.ndim == 1 else c @ v1)
        put_in += float(then @ q1 - p @ q - (then - p) @ area / size)
        lost += hermite_energy(c, size, v, a, v1, a1)
        q, v, a, p = q1, v1, a1, then
        if (i + 1) % keep == 0 or i + 2 == len(times):
            keep_it(i + 1)
        if i % 200 == 0:
            progress.step(f"motion at {show(float(times[i]), 'time')}", 200.0 / len(times))
    frames.checkpoint()


def _answer(
    plan: _Plan, name: str, equations: Dynamics, load: _Load, frames: Frames, motion: Any, state: LoadCase,
    info: SolveInfo, residual: float, steps: StepRecord, time_error: float, times: FloatArray,
) -> DynamicsCase:  # fmt: skip
    case = DynamicsCase(
        name=name or "motion", model=equations.model, recovery=recovery_of(equations.model), instants=times,
        info=info, residual=residual, imbalance=0.0, applied=np.zeros(3), applied_moment=np.zeros(3),
        stored=frames, case=replace(state, loads=()) if state.loads else state, dynamics=equations,
        motion=motion, drive=load, rayleigh=plan.rayleigh, steps=steps, time_error=time_error,
        damping="" if plan.damping is None else plan.damping.said,
    )  # fmt: skip
    object.__setattr__(case, "imbalance", case.energy.worst)
    return case


# By steps of the whole model


@dataclass(eq=False)
class _Course:
    """All that the next step depends on; written at checkpoints, digit by digit."""

    state: State
    size: float
    scale: float
    """The largest displacement so far, root of d M d."""
    put_in: float = 0.0
    lost: float = 0.0
    kinetic: float = 0.0
    strain: float = 0.0
    errors: float = 0.0
    residual: float = 0.0
    steps: int = 0
    rejected: int = 0
    small: int = 0
    """Steps in a row whose error was small."""


class _Run:
    """Implicit or explicit steps of the whole model."""

    def __init__(
        self, plan: _Plan, equations: Dynamics, load: _Load, start: tuple[FloatArray, FloatArray],
        frames: Frames, solver: LinearSolver | None,
    ) -> None:  # fmt: skip
        assert plan.scheme is not None
        assert plan.duration is not None
        self.plan, self.equations, self.load, self.frames = plan, equations, load, frames
        self.start, self.end = start, plan.duration
        self.is_reduced = isinstance(equations, ReducedModel)
        self.stepper = Stepper(equations, plan.scheme, rayleigh=plan.rayleigh, solver=solver)
        points = load.breakpoints(self.end)
        self.stops = np.append(points if plan.step is None and len(points) <= _FEW else [], self.end)
        self.fixed = plan.step
        if plan.scheme.explicit:
            critical = self.stepper.critical()
            if self.fixed is None:
                self.fixed = self.end / np.ceil(self.end / critical)
            if self.fixed > critical:
                raise ModelError(
                    f"step {show(self.fixed, 'time')} is above the critical one of {plan.scheme.name}, "
                    f"{show(critical, 'time')}: the motion would grow without bound; take a smaller step or "
                    "method='generalized-alpha'"
                )

    def _force(self, time: float) -> FloatArray:
        return np.asarray(self.load.columns @ self.load.at(np.array([time]))[0])

    def _begin(self) -> _Course:
        d, v = self.start
        state = self.stepper.begin(0.0, d, v, self._force(0.0))
        size = self.fixed or min(_FIRST * self.end, float(self.stops[0]))
        kinetic, strain = self.stepper.energies(state)
        return _Course(state, size, self._expected(), kinetic=kinetic, strain=strain)

    def _expected(self) -> float:
        """Displacement that counts as some from the start on: a share of the static one, root of d M d."""
        equations = self.equations
        scale = float(np.sqrt(max(dot(self.start[0], equations.mass(self.start[0])), 0.0)))
        if self.fixed is not None:
            return scale
        most = np.abs(self.load.at(np.linspace(0.0, self.end, 1001))).max(axis=0)
        for k, factor in enumerate(most):
            if factor > 0.0 and self.load.columns[:, k].any():
                u = equations.solve(factor * self.load.columns[:, k])
                scale = max(scale, _OWN * float(np.sqrt(dot(u, equations.mass(u)))))
        return scale

    def go(self, progress: Progress) -> None:
        """All steps, from the start or from the last checkpoint."""
        course = self._resume()
        while course.state.time < self.end * (1.0 - 1e-12):
            before = course.state.time
            course = self.course = self._next(course)
            last = course.state.time >= self.end * (1.0 - 1e-12)
            if course.steps % self.plan.keep == 0 or last:
                self._keep(course)
            progress.step(
                f"motion at {show(course.state.time, 'time')}", (course.state.time - before) / self.end
            )
            if self.frames.path is not None and (self.frames.due or last):
                self._checkpoint(course)

    def _next(self, course: _Course) -> _Course:
        """The next step, as large as its error allows.

        Raises
        ------
        ConvergenceError
            If no step is small enough.
        """
        size, rejected = course.size, course.rejected
        while True:
            h = self._to_stop(course.state.time, size)
            made = self._attempt(course.state, h)
            moved = dot(made.state.d, self.equations.mass(made.state.d))
            scale = max(course.scale, float(np.sqrt(max(moved, 0.0))))
            error = made.error / scale if scale > 0.0 else 0.0
            if self.fixed is not None or error <= self.plan.tolerance:
                break
            rejected += 1
            # The error goes as the cube of the step; sizes are powers of two of each other, for the set-ups.
            size *= 0.5 ** max(np.ceil(np.log2(error / self.plan.tolerance) / 3.0), 1.0)
            if size < _SMALLEST * self.end:
                raise ConvergenceError(
                    f"at {show(course.state.time, 'time')} no step is small enough for an error of "
                    f"{self.plan.tolerance:.2g} of the displacement; allow a larger tolerance="
                )
        small = course.small + 1 if error < _GROW * self.plan.tolerance and h >= 0.5 * size else 0
        if self.fixed is None and small >= 2 and 2.0 * size <= 0.1 * self.end:
            size, small = 2.0 * size, 0
        return _Course(
            made.state, size, scale, course.put_in + made.input, course.lost + made.dissipated, made.kinetic,
            made.strain, course.errors + made.error, max(course.residual, made.residual), course.steps + 1,
            rejected, small,
        )  # fmt: skip

    def _attempt(self, state: State, h: float) -> Stepped:
        made = self.stepper.step(state, h, self._force(state.time), self._force(state.time + h))
        nearest = float(self.stops[np.abs(self.stops - made.state.time).argmin()])
        if abs(nearest - made.state.time) <= 1e-9 * h:
            made = made._replace(state=replace(made.state, time=nearest))
        return made

    def _to_stop(self, time: float, size: float) -> float:
        """The size, or what is left to the next instant to be hit."""
        left = float(self.stops[self.stops > time + 1e-9 * size][0]) - time
        if size >= left * (1.0 - 1e-9):
            return size if abs(size - left) <= 1e-9 * size else left
        return 0.5 * left if self.fixed is None and size > 0.5 * left else size

    # Keeping

    def _keep(self, course: _Course) -> None:
        state, equations = course.state, self.equations
        d, v, a = state.d, state.v, state.a
        if not self.is_reduced:
            d, v, a = (equations.displacement(one).ravel() for one in (d, v, a))
        base = self.load.at(np.array([state.time]))[0] @ self.load.directions
        self.frames.append(
            state.time, np.empty(0), displacement=d, velocity=v, acceleration=a, base=base,
            kinetic=course.kinetic, strain=course.strain, dissipated=course.lost, input=course.put_in,
            errors=course.errors,
        )  # fmt: skip

    def _checkpoint(self, course: _Course) -> None:
        known = {name: value for name, value in vars(course).items() if name != "state"}
        state, stepper = course.state, self.stepper
        self.frames.checkpoint(
            **known, time=state.time, d=state.d, v=state.v, a=state.a, base_step=stepper.base or 0.0,
            iterations=stepper.iterations, setups=stepper.setups,
        )  # fmt: skip

    def _resume(self) -> _Course:
        """The course at the last checkpoint; the start where there is none."""
        known = self.frames.load()
        if known is None:
            self.course = self._begin()
            self._keep(self.course)
            return self.course
        state = State(*(known.pop(name) for name in ("time", "d", "v", "a")))
        self.stepper.base = known.pop("base_step") or None
        self.stepper.iterations, self.stepper.setups = int(known.pop("iterations")), int(known.pop("setups"))
        whole = {name: int(known.pop(name)) for name in ("steps", "rejected", "small")}
        self.course = _Course(state, **known, **whole)
        return self.course

    def answer(self, name: str, state: LoadCase, seconds: dict[str, float], peak: Peak) -> DynamicsCase:
        """What the run came to."""
        plan, course, stepper, frames = self.plan, self.course, self.stepper, self.frames
        assert plan.scheme is not None
        times = np.asarray(frames.times)
        title = f", {stepper.title}" if stepper.title else ""
        notes = stepper.notes
        if loss_stiffness(self.equations) is not None:
            notes += (
                "loss factors of materials have no equal in steps of the whole part: they damp nothing here",
            )
        info = SolveInfo(
            solver=f"{plan.scheme.name}{title}", n_dof=self.equations.size, iterations=stepper.iterations,
            seconds={**seconds, **stepper.seconds}, notes=notes, residual=course.residual,
            peak_bytes=peak.bytes,
        )  # fmt: skip
        told = np.diff(frames.series("errors")) / (course.scale or 1.0)
        steps = StepRecord(times[1:], np.diff(times), told, rejected=course.rejected, setups=stepper.setups)
        error = course.errors / course.scale if course.scale > 0.0 else 0.0
        motion: NodalMotion | ModalMotion = NodalMotion(frames)
        if self.is_reduced:
            motion = ModalMotion(frames, self.equations, np.eye(self.equations.size))
        return _answer(
            plan, name, self.equations, self.load, frames, motion, state, info, course.residual, steps, error,
            times,
        )  # fmt: skip
