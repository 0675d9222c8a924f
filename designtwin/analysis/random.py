"""Response to stationary random vibration, by modes and static shapes."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import numpy as np

from designtwin.analysis.modal import solve_modes
from designtwin.analysis.static import check_arguments
from designtwin.analysis.superposition import ModalSpace, damping_of, refuse_other_modes, refuse_unheld
from designtwin.assembly.dynamics import Dynamics
from designtwin.errors import ModelError
from designtwin.memory import Peak
from designtwin.model.excitation import BasePsd, Correlated, Excitation, ForcePsd
from designtwin.progress import track
from designtwin.results import SolveInfo
from designtwin.results.modal import ModalCase, Mode
from designtwin.results.modal_sums import with_displacement
from designtwin.results.random import RandomCase
from designtwin.solvers import spectral
from designtwin.typing import FloatArray
from designtwin.units import show

if TYPE_CHECKING:
    from designtwin.model.model import Model
    from designtwin.solvers.solution import LinearSolver

_BEYOND = 1.5
"""Modes are wanted up to this times the highest frequency; static shapes stand for those above."""
_POORLY_INTEGRATED = 1e-4
"""Relative error of a variance that is told."""


def solve_random(
    model: Model | Dynamics, excitation: BasePsd | ForcePsd | Correlated, *, modes: ModalCase | None = None,
    up_to: Any = None, count: int | None = None, damping: Any = None, prestress: str | None = None,
    solver: LinearSolver | None = None, name: str = "random",
) -> RandomCase:  # fmt: skip
    """Find root mean squares and spectral densities under a base, or loads, that vibrate at random.

    Modes, and a static shape for each input, answer at every frequency; their products are integrated over
    the band by rules that resolve every resonance, cross terms between modes and between inputs included.

    Parameters
    ----------
    model : Model or reduced model
    excitation : base_psd(...), force_psd(...) or correlated([...], coherence=...)
    modes : ModalCase, optional
        What `solve_modes` found; else modes are found here.
    up_to, count : optional
        Modes to find, as in `solve_modes`; up to 1.5 times the highest frequency of the input unless given.
    damping : share, table, Damping, optional
        ``"1.5 %"`` of critical and other ways to say it, see `designtwin.damping`; besides dampers and the
        loss factors of materials, which always count.
    prestress : str, optional
        The load case under which the part vibrates, where modes are not given; see `solve_modes`.
    solver : LinearSolver, optional
        For modes and static shapes.
    name : str
        Of the case.

    Returns
    -------
    RandomCase
        ``case.field("von_mises", sigma=3)``; ``case.psd("lug", "z", "acceleration").rms``.

    Raises
    ------
    ModelError
        If the excitation is none of these or makes no sense on the model, or nothing damps a resonance in the
        band.

    Sources: Wirsching, Paez and Ortiz, Random Vibrations (1995), ch. 6 to 8; Segalman, Fulcher, Reese and
    Field, SAND98-0260 (1998).
    """
    check_modal(model, excitation, modes, (up_to, count, prestress), solver, "random")
    peak = Peak()
    low, high = excitation.band
    with track("random vibration", total=2) as progress:
        modes, seconds = modes_for(model, modes, up_to, count, _BEYOND * high, prestress, solver)
        for one in excitation.inputs:
            one.check(modes.model)
        progress.step("static shapes")
        started = time.perf_counter()
        loads, directions = loads_of(modes.dynamics, excitation)
        space = ModalSpace.of(modes, loads, damping_of(damping, modes.dynamics))
        seconds["static shapes"] = time.perf_counter() - started
        progress.step("integrals over frequency")
        started = time.perf_counter()
        transfer = transfer_of(space)
        _refuse_undamped(transfer, low, high)
        force = space.shapes.T @ loads
        knots = np.asarray(excitation.frequencies)
        covariances = spectral.covariances(transfer, force, excitation.density, knots)
        seconds["integrals"] = time.perf_counter() - started
    notes = state_notes(modes)
    if modes.complete_to < high:
        notes.append(
            f"modes are known up to {show(modes.complete_to, 'frequency')}, the input goes on to "
            f"{show(high, 'frequency')}: resonances above are not in the answer; find modes up to "
            f"{show(_BEYOND * high, 'frequency')}"
        )
    if covariances.error > _POORLY_INTEGRATED:
        notes.append(f"integrals over frequency are good to {covariances.error:.0e} only")
    stated = space.stated
    return RandomCase(
        name=name, model=modes.model, recovery=modes.recovery, modes=modes, extra=extra_shapes(space),
        shapes=space.shapes, stiffness=space.stiffness, directions=directions,
        info=SolveInfo(
            solver=f"{len(modes)} modes and {space.shapes.shape[1] - len(modes)} static shapes, "
            f"{covariances.points:,} frequencies",
            n_dof=modes.dynamics.size, iterations=0, seconds=seconds, notes=modes.info.notes,
            residual=modes.residual, peak_bytes=peak.bytes,
        ),
        notes=tuple(notes), excitation=excitation,
        damping="of dampers and materials" if stated is None else stated.said, ratios=space.ratio,
        transfer=transfer, force=force, knots=knots, covariances=covariances,
    )  # fmt: skip


def check_modal(
    model: object, excitation: object, modes: object, stated: tuple[Any, ...], solver: object, kind: str
) -> None:
    """Raise ModelError unless arguments of a response by modes are what they should be.

    Parameters
    ----------
    stated : tuple
        up_to, count, prestress.
    kind : "random" or "spectrum"
    """
    if not isinstance(model, Dynamics):
        check_arguments(model, solver)
    kinds = {"random": ("random",), "spectrum": ("spectrum", "transient")}[kind]
    wanted = {
        "random": "base_psd(...), force_psd(...) or several of them correlated([...], coherence=...)",
        "spectrum": "response_spectrum(...), half_sine(...), base_motion(...) or several together(...)",
    }[kind]
    if not isinstance(excitation, Excitation) or excitation.kind not in kinds:
        what = excitation.said if isinstance(excitation, Excitation) else repr(excitation)
        raise ModelError(f"solve_{kind} wants {wanted}; got {what}")
    if modes is None:
        return
    if not isinstance(modes, ModalCase):
        raise ModelError(f"modes is {modes!r}; give solve_modes(model, ...).modes")
    refuse_other_modes(modes, model)
    if any(one is not None for one in stated):
        raise ModelError("modes are given; leave up_to=, count= and prestress= out")


def modes_for(
    model: Model | Dynamics, modes: ModalCase | None, up_to: Any, count: int | None, otherwise: float,
    prestress: str | None, solver: LinearSolver | None,
) -> tuple[ModalCase, dict[str, float]]:  # fmt: skip
    """The modes given, or found up to some frequency, Hz, and the seconds it took by phase."""
    if modes is not None:
        return modes, {}
    top = up_to if up_to is not None or count is not None else otherwise
    modes = solve_modes(model, up_to=top, count=count, prestress=prestress, solver=solver).modes
    return modes, {f"modes: {phase}": spent for phase, spent in modes.info.seconds.items()}


def loads_of(dynamics: Dynamics, excitation: Excitation) -> tuple[FloatArray, FloatArray]:
    """Forces on q of a unit of each input float64[size, n], and directions of base motion float64[n, 3].

    A base that is accelerated by 1 m/s^2 loads the part by its inertia, relative to the base.
    """
    loads, directions = [], []
    for one in excitation.inputs:
        refuse_unheld(dynamics, one)
        if one.is_base:
            nodal = -dynamics.inertia(dynamics.base(one.direction))
        else:
            nodal = one.nodal_forces(dynamics.model)
        loads.append(dynamics.force(nodal))
        directions.append(one.direction if one.is_base else (0.0, 0.0, 0.0))
    return np.stack(loads, axis=1), np.array(directions, np.float64)


def transfer_of(space: ModalSpace) -> spectral.ModalTransfer:
    """Coordinates of a space over frequency; by themselves where damping does not couple them."""
    damping, loss = space.damping, space.loss
    if not space.coupled:
        damping, loss = np.diag(damping).copy(), np.diag(loss).copy()
    return spectral.ModalTransfer(space.stiffness, space.mass, damping, loss)


def extra_shapes(space: ModalSpace) -> tuple[Mode, ...]:
    """The static shapes of a space, as shapes with stress."""
    first, omega = len(space.modes), 2.0 * np.pi * space.frequencies
    return tuple(
        with_displacement(
            space.modes, np.ascontiguousarray(space.shapes[:, i]), float(omega[i] ** 2), i + 1,
            f"static shape {i + 1 - first}",
        )
        for i in range(first, len(omega))
    )  # fmt: skip


def state_notes(modes: ModalCase) -> list[str]:
    """What to say of a part that vibrates about a loaded state."""
    state = modes.state
    if not state.loads and state.temperature is None:
        return []
    return [
        f"the stress of case {state.name!r}, about which the part vibrates, is not in the response; add it"
    ]


def _refuse_undamped(transfer: spectral.ModalTransfer, low: float, high: float) -> None:
    hit = spectral.undamped_inside(transfer.poles, low, high)
    if len(hit):
        raise ModelError(
            f"nothing damps the resonance at {show(float(hit[0]), 'frequency')}, which random vibration from "
            f"{show(low, 'frequency')} to {show(high, 'frequency')} excites without bound; state "
            "damping='1.5 %'"
        )
