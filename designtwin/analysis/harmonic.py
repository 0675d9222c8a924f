"""Steady vibration under harmonic excitation: by modes, or by the full complex equations."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from designtwin.analysis.modal import dynamics_of, recovery_of, solve_modes
from designtwin.analysis.static import check_arguments
from designtwin.analysis.superposition import ModalSpace, damping_of, refuse_other_modes, refuse_unheld
from designtwin.assembly.dynamics import Dynamics
from designtwin.assembly.losses import loss_stiffness
from designtwin.errors import ModelError
from designtwin.memory import Peak
from designtwin.model.damping import Damping
from designtwin.model.excitation import Excitation
from designtwin.model.model import Model
from designtwin.progress import track
from designtwin.results import SolveInfo
from designtwin.results.frequency import HarmonicCase
from designtwin.results.modal import ModalCase
from designtwin.solvers import harmonic as complex_equations
from designtwin.solvers.harmonic import ComplexArray, DynamicStiffness
from designtwin.solvers.system import SparseMatrix
from designtwin.typing import FloatArray
from designtwin.units import show

if TYPE_CHECKING:
    from designtwin.solvers.solution import LinearSolver

POINTS = 15
"""Points at each resonance unless stated: the peak, and 11.25 degrees of phase from one to the next."""
_PER_DECADE = 40
"""Points between resonances."""
_WIDEST = 78.75
"""Degrees of phase about a resonance in which its points lie."""
_BEYOND = 2.0
"""Modes are wanted up to this times the highest frequency; static shapes stand for those above."""
_MOST_POINTS = 10_000
"""At a resonance."""
_LOOKED_AT = 5
"""Frequencies at which the full equations check what modes give."""
_SAME = 1e-9
"""Relative distance of frequencies that are one."""


def solve_harmonic(
    model: Model | Dynamics, excitation: Excitation, *, modes: ModalCase | None = None, up_to: Any = None,
    count: int | None = None, damping: Any = None, method: str = "modal", points_per_resonance: int = POINTS,
    prestress: str | None = None, solver: LinearSolver | None = None, name: str = "harmonic",
) -> HarmonicCase:  # fmt: skip
    """Find the steady vibration under loads or a base that move harmonically, over frequency.

    Where the excitation states a band, frequencies are placed at the resonances in it (the peak, the
    half-power points and others evenly in phase), at its kinks, and evenly on a logarithmic scale between.

    Parameters
    ----------
    model : Model or reduced model
    excitation : Excitation
        ``base_harmonic(...)``, ``harmonic(...)``, or several of them ``together(...)``.
    modes : ModalCase, optional
        What `solve_modes` found; else modes are found here.
    up_to, count : optional
        Modes to find, as in `solve_modes`; up to twice the highest frequency unless given.
    damping : share, table, Damping, optional
        ``"1.5 %"`` of critical and other ways to say it, see `designtwin.damping`; besides dampers and the
        loss factors of materials, which always count.
    method : "modal" or "direct"
        Modes and a static shape for each load, which give the quasi-static share of the modes left out; or
        the full equations, whose residual is below 1e-8 at every frequency. Direct takes any damping but
        ratios mode by mode.
    points_per_resonance : int
        1 is the peak alone.
    prestress : str, optional
        The load case under which the part vibrates, where modes are not given; see `solve_modes`.
    solver : LinearSolver, optional
        For modes and static shapes.
    name : str
        Of the case.

    Returns
    -------
    HarmonicCase
        ``case.response("lug", "z", "acceleration").peak``; ``case.field("von_mises")``.

    Raises
    ------
    ModelError
        If the excitation is none of these, makes no sense on the model, or nothing is said of damping.
    ConvergenceError
        If a frequency is a resonance that nothing damps.

    Source: Craig and Kurdila, Fundamentals of Structural Dynamics, 2nd ed. (2006), ch. 11 and 12.
    """
    _check(model, excitation, modes, method, points_per_resonance, solver)
    if modes is not None and (up_to is not None or count is not None or prestress is not None):
        raise ModelError("modes are given; leave up_to=, count= and prestress= out")
    peak, started = Peak(), time.perf_counter()
    low, high = excitation.band  # type: ignore[attr-defined]
    inputs = excitation.inputs
    explicit = [one.frequencies for one in inputs if getattr(one, "frequencies", None) is not None]  # type: ignore[attr-defined]
    seconds: dict[str, float] = {}
    if modes is None and (method == "modal" or not explicit):
        top = up_to if up_to is not None or count is not None else _BEYOND * high
        modes = solve_modes(model, up_to=top, count=count, prestress=prestress, solver=solver).modes
        seconds = {f"modes: {phase}": spent for phase, spent in modes.info.seconds.items()}
    if modes is not None:
        dynamics, state = modes.dynamics, modes.state
    else:
        dynamics, state = dynamics_of(model, prestress=prestress, solver=solver)
    whole = dynamics.model
    for one in inputs:
        one.check(whole)
        refuse_unheld(dynamics, one)
    stated = damping_of(damping, dynamics)
    if method == "direct" and stated is not None and stated.is_modal:
        raise ModelError(
            f"damping of {stated.said} is stated mode by mode, and the direct method has no modes; say "
            "dtw.structural(...) or dtw.rayleigh(...), loss factors and dampers, or take method='modal'"
        )
    loads = _Loads.of(dynamics, inputs)
    started = time.perf_counter()
    with track("harmonic response", total=2 if method == "modal" else 0) as progress:
        progress.step("static shapes" if method == "modal" else "assemble")
        if method == "modal":
            assert modes is not None
            space = ModalSpace.of(modes, loads.on_q, stated)
            seconds["static shapes"] = time.perf_counter() - started
            ratio = space.ratio[: len(modes)]
        elif modes is not None:
            ratio = ModalSpace.of(modes, np.zeros((dynamics.size, 0)), stated).ratio
        else:
            ratio = np.empty(0)
        f = (
            np.unique(np.concatenate(explicit)) if explicit
            else sweep_frequencies(excitation, modes.frequencies, ratio, points_per_resonance)  # type: ignore[union-attr]
        )  # fmt: skip
        factors = loads.factors(f)
        started = time.perf_counter()
        if method == "modal":
            progress.step(f"{len(f)} frequencies")
            answer = _by_modes(space, f, loads, factors)
        else:
            answer = _directly(dynamics, stated, f, loads, factors, progress.step)
        seconds[method] = time.perf_counter() - started
    info = SolveInfo(
        solver=answer.solver, n_dof=dynamics.size, iterations=0, seconds=seconds,
        notes=() if modes is None else (*modes.info.notes, *_missed(modes, method, high)),
        residual=answer.residual, peak_bytes=peak.bytes,
    )  # fmt: skip
    near = np.empty(0) if modes is None else modes.frequencies
    case = HarmonicCase(
        name=name, model=whole, recovery=recovery_of(whole) if modes is None else modes.recovery,
        dynamics=dynamics, frequencies=f, basis=answer.basis, coordinates=answer.coordinates,
        loads=loads.nodal, factors=factors[:, : loads.nodal.shape[2]], base=loads.base,
        base_acceleration=factors[:, loads.nodal.shape[2] :], input_power=answer.put_in,
        dissipated_power=answer.dissipated,
        resonances=near[(near >= low * (1.0 - _SAME)) & (near <= high * (1.0 + _SAME))],
        excitation=excitation.said, damping="damping of dampers and materials" if stated is None else
        f"damping {stated.said}", method=method, residual=answer.residual, state=state, info=info,
        modes=modes if method == "modal" else None,
    )  # fmt: skip
    if method == "direct":
        return case

    def softer(change: FloatArray) -> HarmonicCase:
        other, moved = space.softer(change), f
        if not explicit:
            lower = space.modes.frequencies * np.sqrt(1.0 + change)
            moved = sweep_frequencies(excitation, lower, other.ratio[: len(lower)], points_per_resonance)
        amounts = loads.factors(moved)
        return replace(
            case, frequencies=moved, factors=amounts[:, : loads.nodal.shape[2]],
            coordinates=other.answers(2.0 * np.pi * moved, loads.on_q, amounts),
            base_acceleration=amounts[:, loads.nodal.shape[2] :], softer=None,
        )  # fmt: skip

    return replace(case, softer=softer)


def _missed(modes: ModalCase, method: str, high: float) -> list[str]:
    """A note where a sweep by modes goes on beyond them."""
    if method != "modal" or modes.complete_to >= high * (1.0 - _SAME):
        return []
    known, last, enough = (show(f, "frequency") for f in (modes.complete_to, high, _BEYOND * high))
    return [
        f"modes are known up to {known}, the sweep goes on to {last}: resonances above are not in the "
        f"answer; find modes up to {enough}"
    ]


def _check(
    model: object, excitation: object, modes: object, method: str, points: object, solver: object
) -> None:
    if not isinstance(model, Dynamics):
        check_arguments(model, solver)
    if not isinstance(excitation, Excitation) or excitation.kind != "harmonic":
        what = excitation.said if isinstance(excitation, Excitation) else repr(excitation)
        raise ModelError(
            "solve_harmonic wants base_harmonic(...), harmonic(...) or several of them together(...); got "
            f"{what}"
        )
    if method not in ("modal", "direct"):
        raise ModelError(f"method is {method!r}; say 'modal' or 'direct'")
    if isinstance(points, bool) or not isinstance(points, int) or not 1 <= points <= _MOST_POINTS:
        raise ModelError(f"points_per_resonance is {points!r}; 1 or more are wanted, up to {_MOST_POINTS:,}")
    if modes is not None and not isinstance(modes, ModalCase):
        raise ModelError(f"modes is {modes!r}; give solve_modes(model, ...).modes")
    if isinstance(modes, ModalCase):
        refuse_other_modes(modes, model)


@dataclass(frozen=True, eq=False)
class _Loads:
    """Inputs of an excitation as forces.

    Parameters
    ----------
    inputs : sequence of Excitation
        Those that load the part, then those that move its base.
    nodal : float64[n_points, 3, p]
    base : float64[n_points, 3, b]
        Rigid motions.
    on_q : float64[size, p + b]
        Forces on the unknowns where ``at`` of each is 1; of base motion the inertia, about the base.
    """

    inputs: Sequence[Any]
    nodal: FloatArray
    base: FloatArray
    on_q: FloatArray

    @classmethod
    def of(cls, dynamics: Dynamics, inputs: Sequence[Any]) -> _Loads:
        model = dynamics.model
        forces = [one for one in inputs if not one.is_base]
        shaken = [one for one in inputs if one.is_base]
        empty = np.zeros((model.mesh.n_points, 3, 0))
        nodal = np.stack([one.nodal_forces(model) for one in forces], axis=2) if forces else empty
        base = np.stack([dynamics.base(one.direction) for one in shaken], axis=2) if shaken else empty
        all_forces = np.concatenate([nodal, -dynamics.inertia(base) if shaken else empty], axis=2)
        return cls((*forces, *shaken), nodal, base, dynamics.force(all_forces))

    def factors(self, frequencies: FloatArray) -> ComplexArray:
        """How much of each acts, complex128[f, p + b]."""
        return np.stack([one.at(frequencies) for one in self.inputs], axis=1)


def sweep_frequencies(
    excitation: Any, resonances: FloatArray, ratio: FloatArray, points: int = POINTS
) -> FloatArray:
    """Frequencies float64[f], Hz, of a sweep.

    Parameters
    ----------
    excitation : Excitation
        With a ``band``, and ``knots`` of each input.
    resonances : float64[m]
        Natural frequencies, Hz; 0 of rigid motions.
    ratio : float64[m]
        Share of critical damping of each mode: the width of its resonance.
    points : int
        At each resonance in the band.
    """
    low, high = excitation.band
    if high <= low * (1.0 + _SAME):
        return np.array([low])
    between = np.geomspace(low, high, max(2, 1 + int(np.ceil(_PER_DECADE * np.log10(high / low)))))
    knots = np.concatenate([one.knots for one in excitation.inputs])
    placed = [between, knots[(knots > low) & (knots < high)]]
    angle = np.radians(np.linspace(-_WIDEST, _WIDEST, points)) if points > 1 else np.zeros(1)
    away = np.geomspace(1e-4, 1e-1, max(points // 2, 1))
    for f, zeta in zip(resonances, ratio, strict=True):
        if f <= 0.0:
            continue
        if zeta > 0.0:
            # relative to half its width, a resonance turns the phase by the arc tangent of the distance
            near = f * (1.0 + min(zeta, 0.5) * np.tan(angle))
        else:
            near = f * np.concatenate([1.0 - away, 1.0 + away])
        placed.append(near[(near > low) & (near < high)])
    out = np.sort(np.concatenate(placed))
    out[0], out[-1] = low, high
    return out[np.r_[True, np.diff(out) > _SAME * out[1:]]]


@dataclass(frozen=True, eq=False)
class _Answer:
    basis: FloatArray
    coordinates: ComplexArray
    put_in: FloatArray
    dissipated: FloatArray
    residual: float
    solver: str


def _by_modes(space: ModalSpace, f: FloatArray, loads: _Loads, factors: ComplexArray) -> _Answer:
    omega = 2.0 * np.pi * f
    y = space.answers(omega, loads.on_q, factors)
    load = factors @ (space.shapes.T @ loads.on_q).T
    put_in = _power(omega, load, y)
    dissipated = 0.5 * omega * (omega * _form(space.damping, y) + _form(space.loss, y))
    extra = space.shapes.shape[1] - len(space.modes)
    return _Answer(
        space.shapes, y, put_in, dissipated, _left_out(space, omega, loads, factors, y),
        f"superposition of {len(space.modes)} modes and {extra} static shape{'s' * (extra != 1)}",
    )  # fmt: skip


def _power(omega: FloatArray, load: ComplexArray, y: ComplexArray) -> FloatArray:
    """Mean over a cycle of force times velocity, float64[f], W."""
    return np.asarray(0.5 * np.einsum("fr,fr->f", load.conj(), 1j * omega[:, None] * y).real)


def _form(matrix: FloatArray, y: ComplexArray) -> FloatArray:
    """y^H A y of each row, float64[f], for symmetric A."""
    return np.asarray(np.einsum("fr,fr->f", y.conj(), y @ matrix).real)


def _left_out(
    space: ModalSpace, omega: FloatArray, loads: _Loads, factors: ComplexArray, y: ComplexArray
) -> float:
    """What modes left out would add, over the answer, in the energy norm, at a few frequencies.

    They are stiff, so that they answer what the full equations leave unbalanced as statics do.
    """
    dynamics = space.dynamics
    energy = 0.5 * np.einsum("fr,r->f", np.abs(y) ** 2, space.stiffness)
    picked = sorted({0, len(omega) - 1, *np.argsort(-energy)[: _LOOKED_AT - 2].tolist()})
    picked = [i for i in picked if energy[i] > 0.0]
    if not picked:
        return 0.0
    rests = []
    for i in picked:
        q = (space.shapes @ y[i]).astype(np.complex128)
        rest = loads.on_q @ factors[i] - dynamics.stiffness(q) + omega[i] ** 2 * dynamics.mass(q)
        rests.append(np.where(dynamics.free, rest - space.damping_force(float(omega[i]), q, y[i]), 0.0))
    columns = np.stack([part for rest in rests for part in (rest.real, rest.imag)], axis=1)
    if dynamics.rigid.shape[1]:  # rigid motions are all among the modes
        columns = columns - dynamics.mass(dynamics.rigid) @ (dynamics.rigid.T @ columns)
    if not columns.any():
        return 0.0
    added = 0.5 * np.einsum("ik,ik->k", columns, dynamics.solve(columns)).reshape(-1, 2).sum(axis=1)
    return float(np.sqrt(np.maximum(added, 0.0) / energy[picked]).max())


def _directly(
    dynamics: Dynamics, stated: Damping | None, f: FloatArray, loads: _Loads, factors: ComplexArray, step: Any
) -> _Answer:
    system = dynamics.system()
    k, m, c = dynamics.matrices()
    viscous: SparseMatrix | None = c if dynamics.has_damping else None
    lossy = loss_stiffness(dynamics)
    if stated is not None and stated.is_rayleigh:
        more = stated.alpha * m + stated.beta * k
        viscous = more if viscous is None else viscous + more
    elif stated is not None and stated.loss_factor:
        lossy = stated.loss_factor * k if lossy is None else lossy + stated.loss_factor * k
    equations = DynamicStiffness(
        k, m, viscous, lossy, free=dynamics.free, block=system.block, extra=system.extra
    )
    omega = 2.0 * np.pi * f
    found = complex_equations.sweep(equations, omega, loads.on_q, factors, step=step)
    y = found.coordinates
    put_in = _power(omega, factors @ (found.basis.T @ loads.on_q).T, y)
    dissipated = np.zeros(len(f))
    for matrix, times in ((viscous, omega), (lossy, np.ones(len(f)))):
        if matrix is not None:
            small = found.basis.T @ np.where(dynamics.free[:, None], matrix @ found.basis, 0.0)
            dissipated += 0.5 * omega * times * _form(small, y)
    made = len(found.factored)
    return _Answer(
        found.basis, y, put_in, dissipated, float(found.residual.max(initial=0.0)),
        f"direct ({found.solver}, {made} factorization{'s' * (made != 1)} for {len(f)} frequencies)",
    )  # fmt: skip
