"""Natural frequencies and mode shapes, of parts at rest, under load, or turning."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from designtwin.analysis.cyclic import cyclic_pairs
from designtwin.analysis.static import check_arguments, named, solve_static
from designtwin.assembly import cell_blocks
from designtwin.assembly.cyclic import CyclicDynamics, cyclic_symmetry
from designtwin.assembly.dynamics import Dynamics, ModelDynamics, dynamics
from designtwin.assembly.inertia import StressAt
from designtwin.errors import ConvergenceError, DesignTwinError, ModelError, SingularSystemError
from designtwin.memory import Peak
from designtwin.model.checks import check_vibration
from designtwin.model.loads import Centrifugal
from designtwin.model.model import LoadCase, Model
from designtwin.progress import track
from designtwin.results import Recovery, SolveInfo, StaticCase
from designtwin.results.modal import ModalCase, ModalResult
from designtwin.solvers.eigen import eigenpairs
from designtwin.typing import FloatArray
from designtwin.units import to_si

if TYPE_CHECKING:
    from designtwin.solvers.solution import LinearSolver

COUNT = 10
"""Modes found where neither a count nor a band is given."""


def dynamics_of(
    source: Model | Dynamics, *, prestress: str | None = None, solver: LinearSolver | None = None
) -> tuple[Dynamics, LoadCase]:
    """The equations of motion of a model, or those given, and the state they are about.

    Parameters
    ----------
    source : Model or Dynamics
        A reduced model comes with its equations.
    prestress : str, optional
        The load case under which the part vibrates: its stress stiffens the part or softens it, its supports
        hold, its temperature sets the moduli; where it spins, the turning frame takes stiffness away.

    Raises
    ------
    ModelError
        If there is no such case.
    MissingPropertyError
        If a material states no density.
    """
    if isinstance(source, Dynamics):
        if prestress is not None:
            raise ModelError("a reduced model has its prestress in it; reduce the model under that load case")
        return source, LoadCase("")
    check_vibration(source, test="the modal analysis")
    if prestress is None:
        return equations_of(source, LoadCase("at rest"), solver=solver)
    state = static_state(source, prestress, solver)
    case = state.case or _only_supports(source, prestress)
    spins = [load for load in case.loads if isinstance(load, Centrifugal)]
    return equations_of(source, case, stress=state.stress_at, spins=spins, solver=solver)


def equations_of(
    model: Model, case: LoadCase, *, stress: StressAt | None = None, spins: Sequence[Centrifugal] = (),
    solver: LinearSolver | None = None,
) -> tuple[Dynamics, LoadCase]:  # fmt: skip
    """The equations of motion of a model about a state, and the state; of a sector those of the ring."""
    if cyclic_symmetry(model) is None:
        return dynamics(model, case=case, stress=stress, spins=spins, solver=solver), case
    ring = CyclicDynamics(model, case=case, stress=stress, spins=spins, solver=solver)
    return ring, ring.state


def static_state(model: Model, name: str, solver: LinearSolver | None) -> StaticCase:
    """The static answer of one load case or combination.

    Raises
    ------
    ModelError
        If the model has no such case, or it has a course in time.
    """
    known = {**model.cases, **model.combinations}
    if name not in known:
        raise ModelError(f"prestress: there is no load case {name!r}; there are: {list(known) or 'none'}")
    wanted = {name, *model.combinations.get(name, {})}
    alone = model.with_(load_cases={key: items for key, items in model.load_cases.items() if key in wanted})
    answer = solve_static(alone, solver=solver)[name]
    if not isinstance(answer, StaticCase):
        raise ModelError(
            f"prestress: case {name!r} has a course in time; freeze it: Temperature(result[case].at('9 min'))"
        )
    return answer


def _only_supports(model: Model, name: str) -> LoadCase:
    """The state of a combination: supports are those of the model alone.

    Raises
    ------
    ModelError
        If its cases bring supports or temperatures of their own.
    """
    for part in model.combinations[name]:
        case = model.cases[part]
        if case.supports or case.temperature is not None or any(
            isinstance(load, Centrifugal) for load in case.loads
        ):  # fmt: skip
            raise ModelError(
                f"prestress: case {part!r} of the combination {name!r} has supports, a temperature or a spin "
                "of its own; state what acts as one load case"
            )
    return LoadCase(name)


def solve_modes(
    model: Model | Any, *, count: int | None = None, up_to: Any = None, prestress: str | None = None,
    solver: LinearSolver | None = None,
) -> ModalResult:  # fmt: skip
    """Find the lowest natural frequencies and mode shapes, K phi = omega^2 M phi.

    Rigid motions that supports leave free are found beforehand, from the supports; they are reported as modes
    of frequency 0 and do not count.

    Parameters
    ----------
    model : Model or reduced model
    count : int, optional
        How many modes that deform the part; 10 where neither `count` nor `up_to` is given.
    up_to : frequency, optional
        All modes up to it, such as ``"4 kHz"``.
    prestress : str, optional
        The load case under which the part vibrates; see `dynamics_of`.
    solver : LinearSolver, optional

    Returns
    -------
    ModalResult
        ``result.modes[0].frequency``, Hz; ``result.modes.table()``.

    Raises
    ------
    ModelError
        If `count` or `up_to` make no sense.
    MissingPropertyError
        If a material states no density.
    SingularSystemError
        If something without mass is free to move.
    ConvergenceError
        If modes do not converge, or the prestress is beyond buckling.

    Source: Bathe, Finite Element Procedures, 2nd ed. (2014), ch. 10 and 11.
    """
    if not isinstance(model, Dynamics):
        check_arguments(model, solver)
    if count is not None and (isinstance(count, bool) or not isinstance(count, int) or count < 1):
        raise ModelError(f"count is {count!r}; how many modes are wanted, 1 or more?")
    if count is not None and up_to is not None:
        raise ModelError("give count= or up_to=, not both")
    top = None if up_to is None else float(to_si(up_to, "frequency", name="up_to"))
    if top is not None and not (np.isfinite(top) and top > 0.0):
        raise ModelError(f"up_to is {up_to!r}; a frequency above 0 Hz is wanted, such as '4 kHz'")
    peak, seconds = Peak(), {}
    with track("modal analysis", total=3) as progress:
        progress.step("assemble")
        start = time.perf_counter()
        equations, state = dynamics_of(model, prestress=prestress, solver=solver)
        rigid = equations.rigid
        seconds["assemble"] = time.perf_counter() - start
        elastic = int(equations.free.sum()) - rigid.shape[1]
        if elastic == 0:
            raise ModelError("nothing can vibrate: supports hold every node, or what is free moves rigidly")
        progress.step(f"find modes of {equations.size:,} unknowns")
        wanted = min(count or COUNT, elastic) if top is None else None
        bound = None if top is None else (2.0 * np.pi * top) ** 2
        try:
            if isinstance(equations, CyclicDynamics):
                found = cyclic_pairs(equations, count=wanted, up_to=bound, solver=solver)
            else:
                found = eigenpairs(
                    equations.system(), equations.system(0.0, 1.0), count=wanted, up_to=bound, rigid=rigid,
                    solver=solver,
                )  # fmt: skip
        except (SingularSystemError, ConvergenceError) as error:
            raise _explained(equations, prestress, error) from error
        progress.step("sum up")
    n_rigid = rigid.shape[1]
    info = SolveInfo(
        solver=found.solver, n_dof=equations.size, iterations=found.iterations,
        seconds={**seconds, **found.seconds}, notes=found.notes,
        residual=float(found.residuals.max(initial=0.0)), peak_bytes=peak.bytes,
    )  # fmt: skip
    case = ModalCase(
        name="modes", model=equations.model, recovery=recovery_of(equations.model), dynamics=equations,
        omega2=np.concatenate([np.zeros(n_rigid), found.values]), shapes=np.hstack([rigid, found.vectors]),
        n_rigid=n_rigid, residuals=np.concatenate([np.zeros(n_rigid), found.residuals]),
        complete_to=_complete_to(found.values, top, elastic), checked=found.checked, state=state, info=info,
    )  # fmt: skip
    notes = list(check_vibration(model, test="the modal analysis")) if isinstance(model, Model) else []
    if top is not None and not len(found.values):
        notes.append(f"no mode deforms the part below {up_to}")
    return ModalResult(equations.model, {"modes": case}, tuple(notes))


def _explained(equations: Dynamics, prestress: str | None, error: DesignTwinError) -> DesignTwinError:
    """What a solver could not do, in words of the model."""
    if isinstance(error, SingularSystemError) and isinstance(equations, ModelDynamics):
        error = named(equations.model, equations.dofs, error)
    if prestress is None:
        return error
    return type(error)(
        f"{error}; or the prestress of case {prestress!r} is at or beyond buckling: solve_buckling(model, "
        f"case={prestress!r}) tells"
    )


def _complete_to(values: FloatArray, top: float | None, elastic: int) -> float:
    """Up to which frequency no mode is missing, Hz."""
    if top is not None:
        return top
    return np.inf if len(values) == elastic else float(np.sqrt(values[-1]) / (2.0 * np.pi))


def recovery_of(model: Model) -> Recovery:
    """What reads stress off displacements."""
    return Recovery(model.mesh, cell_blocks(model))
