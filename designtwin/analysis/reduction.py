"""Models reduced to a few unknowns: the motion of places that are kept, and modes between them.

Sources: Craig and Bampton, AIAA J. 6 (1968) 1313-1319; Craig and Kurdila, Fundamentals of Structural
Dynamics, 2nd ed. (2006), ch. 17.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import cached_property
from typing import Any

import numpy as np

from designtwin.analysis.dynamics import column
from designtwin.analysis.modal import COUNT, dynamics_of
from designtwin.analysis.static import check_arguments
from designtwin.assembly.cyclic import cyclic_symmetry
from designtwin.assembly.dynamics import Dynamics, ModelDynamics
from designtwin.assembly.losses import loss_stiffness
from designtwin.assembly.reduced import ReducedModel, key_of, residuals_of
from designtwin.errors import ModelError, ResourceError, did_you_mean
from designtwin.memory import free_bytes
from designtwin.mesh.selections import Selection
from designtwin.model.domains import rigid_motions
from designtwin.model.excitation import ForceHistory
from designtwin.model.model import Model
from designtwin.progress import track
from designtwin.results.dynamics import DynamicsCase, ModalMotion
from designtwin.results.modal import ModalCase
from designtwin.solvers.eigen import eigenpairs
from designtwin.solvers.solution import LinearSolver
from designtwin.solvers.system import System
from designtwin.typing import BoolArray, FloatArray, IntArray
from designtwin.units import to_si

METHODS = ("Craig-Bampton", "modal")
_UNKNOWNS = 600  # kept at most: every one is a dense column of the whole part
_AT_ONCE = 16  # columns solved together
_NEW = 1e-10  # share of a static shape's energy below which the others have it already
_COPIES = 6.0  # fields of the size of the basis that are held at most
_BEYOND = 1.5  # times the wanted frequency to which modes of the held part are taken


def reduce(
    model: Model,
    *,
    keep: Sequence[Any] | str | Selection = (),
    count: int | None = None,
    up_to: Any = None,
    method: str = "Craig-Bampton",
    loads: Sequence[str] = (),
    prestress: str | None = None,
    solver: LinearSolver | None = None,
) -> ReducedModel:
    """Reduce a model to the motion of some nodes and a few modes.

    Parameters
    ----------
    model : Model
    keep : sequence of groups or selections
        Nodes whose motion stays an unknown of its own (Craig-Bampton): where forces, sensors or other parts
        are attached. Of a face keep the reference node of a `RigidLink` or `SpreadLink`.
    count : int, optional
        How many modes, of the part held at what is kept (Craig-Bampton) or as it is ("modal"); 10 where
        neither `count` nor `up_to` is given.
    up_to : frequency, optional
        Up to which answers are wanted; modes of the held part are taken to 1.5 times that.
    method : "Craig-Bampton" or "modal"
    loads : sequence of names of load cases
        Whose static answers, and those to acceleration of the base, are added to the shapes; errors of
        motions under them cost no solve of the whole model.
    prestress : str, optional
        See `solve_modes`.
    solver : LinearSolver, optional

    Returns
    -------
    ReducedModel
        Takes the place of the model in ``solve_modes``, ``solve_dynamics`` and the like.

    Raises
    ------
    ModelError
        If there is nothing to keep, or too much.
    ResourceError
        If memory does not hold the shapes.
    """
    check_arguments(model, solver)
    if method not in METHODS:
        raise ModelError(f"method is {method!r}; it may be {' or '.join(map(repr, METHODS))}")
    if count is not None and up_to is not None:
        raise ModelError("give count= or up_to=, not both")
    if count is not None and (isinstance(count, bool) or not isinstance(count, int) or count < 0):
        raise ModelError(f"count is {count!r}; how many modes are wanted, 0 or more?")
    top = None if up_to is None else float(to_si(up_to, "frequency", name="up_to"))
    if top is not None and not (np.isfinite(top) and top > 0.0):
        raise ModelError(f"up_to is {up_to!r}; a frequency above 0 Hz is wanted, such as '2 kHz'")
    places = [keep] if isinstance(keep, str | Selection) else list(keep)
    if method == "modal" and places:
        raise ModelError("method='modal' keeps no nodes; leave keep= out, or say method='Craig-Bampton'")
    if method == "Craig-Bampton" and not places:
        raise ModelError("Craig-Bampton keeps the motion of some nodes; say which: keep=['flange']")
    names = [loads] if isinstance(loads, str) else list(loads)
    known = [*model.cases, *model.combinations]
    for name in names:
        if name not in known:
            hint = did_you_mean(name, known) or f"; there are {known}"
            raise ModelError(f"loads: there is no load case {name!r}{hint}")
    ring = cyclic_symmetry(model)
    if ring is not None:
        raise ModelError(
            f"{ring.said}: a ring is not reduced, for its equations fall apart index by index as it is; its "
            "modes serve responses (modes=), or reduce a model of the whole ring"
        )
    with track("reduce the model", total=4) as progress:
        progress.step("assemble")
        whole, state = dynamics_of(model, prestress=prestress, solver=solver)
        if state.temperature is not None:
            raise ModelError(
                f"prestress: case {prestress!r} has a temperature, which a reduced model does not carry"
            )
        assert isinstance(whole, ModelDynamics)
        nodes = _nodes(model, places)
        interface = _unknowns(whole, nodes)
        if places and not interface.size:
            raise ModelError("supports hold every node of keep=; keep nodes that can move")
        if interface.size > _UNKNOWNS:
            raise ModelError(
                f"keep= holds {interface.size:,} unknowns, each of which is a shape of the whole part; at "
                f"most {_UNKNOWNS} make sense. Tie the face to a node by RigidLink or SpreadLink, and keep it"
            )
        held = _Held(whole, interface)
        inputs, columns = _inputs(whole, names)
        progress.step("find modes")
        static = _static_modes(whole, held, interface)
        beyond = _BEYOND if interface.size else 1.0
        values, modes = _modes(held, count, None if top is None else top * beyond, solver)
        progress.step("static shapes")
        _room(whole.size, static.shape[1] + modes.shape[1] + len(inputs))
        more = _completed(held, np.hstack([held.rigid, modes]), columns)
        shapes = np.hstack([static, held.rigid, modes, more])
        if not shapes.shape[1]:
            raise ModelError("no shape is left; ask for a mode or more, or keep nodes that can move")
        progress.step("errors")
        return _made(
            model, whole, shapes, inputs, columns, nodes, method, interface.size, modes.shape[1], values, top,
            prestress, solver,
        )  # fmt: skip


def reduction_error(case: ModalCase | DynamicsCase) -> FloatArray:
    """Error that the reduction of a model adds to an answer, by the residual in the whole model's equations.

    Parameters
    ----------
    case : ModalCase or DynamicsCase
        Of a `ReducedModel`.

    Returns
    -------
    float64[n]
        Of modes: relative error of each frequency. Of motions: error of each instant in the energy norm over
        the largest sqrt(u K u) of all instants; an estimate that holds while what is left out is stiffer than
        the motion is fast, as up to the frequency that the reduction was made for.

    Raises
    ------
    ModelError
        If the answer is not that of a reduced model.
    """
    reduced = case.dynamics
    if not isinstance(reduced, ReducedModel):
        raise ModelError("reduction_error wants an answer of a reduced model; this one is of a whole model")
    if isinstance(case, ModalCase):
        return reduced.frequency_errors(case.omega2, case.shapes)[0]
    motion = case.motion
    if not isinstance(motion, ModalMotion):
        raise ModelError("the motion of a reduced model is kept as amplitudes; this one is not")
    velocity = motion.unknowns @ motion.amplitudes("velocity")
    acceleration = motion.unknowns @ motion.amplitudes("acceleration")
    acceleration = acceleration + case.rayleigh[0] * velocity  # damping by mass is inertia a little more
    given = case.drive
    amounts = np.zeros((len(reduced.residuals.inputs), len(case.times)))
    unknown = False
    for i, one in enumerate(given.excitation.inputs):
        values = given.at(case.times)[:, i]
        shares = _as_inputs(reduced, one)
        if shares is None:
            unknown = True
            continue
        for number, share in shares:
            amounts[number] += share * values
    if unknown:
        columns = np.stack([column(reduced.whole, one)[0] for one in given.excitation.inputs], axis=1)
        size = reduced.residual(given.at(case.times).T, velocity, acceleration, columns)
    else:
        size = reduced.residual(amounts, velocity, acceleration)
    energy = np.sqrt(2.0 * np.maximum(case.energy.strain, 0.0))
    most = float(energy.max())
    return np.asarray(size / most) if most > 0.0 else np.zeros(len(size))


def _as_inputs(reduced: ReducedModel, one: Any) -> list[tuple[int, float]] | None:
    """An input of an excitation as amounts of those that the reduction knows; None if it does not."""
    names = reduced.residuals.inputs
    if one.is_base:
        wanted = [(f"base {axis}", float(share)) for axis, share in zip("xyz", one.direction) if share != 0.0]
    elif isinstance(one, ForceHistory) and isinstance(one.loads, str):
        wanted = [(one.loads, 1.0)]
    else:
        return None
    if any(name not in names for name, _ in wanted):
        return None
    return [(names.index(name), share) for name, share in wanted]


class _Held(Dynamics):
    """A model with some unknowns held."""

    def __init__(self, whole: Dynamics, interface: IntArray) -> None:
        self.whole, self.interface, self.model, self.solver = whole, interface, whole.model, whole.solver
        self.free: BoolArray = whole.free.copy()
        self.free[interface] = False

    @property
    def has_damping(self) -> bool:
        return self.whole.has_damping

    def system(self, stiffness: float = 1.0, mass: float = 0.0, damping: float = 0.0) -> System:
        return replace(self.whole.system(stiffness, mass, damping), free=self.free)

    @cached_property
    def rigid(self) -> FloatArray:
        """Rigid motions that what is held leaves free: combinations of those of the whole model."""
        rigid = self.whole.rigid
        if not rigid.shape[1] or not len(self.interface):
            return rigid
        at = rigid[self.interface]
        _, sizes, turn = np.linalg.svd(at, full_matrices=True)
        rank = int((sizes > 1e-9 * sizes.max(initial=0.0)).sum()) if sizes.size and sizes[0] > 0.0 else 0
        free = rigid @ turn[rank:].T
        free[self.interface] = 0.0
        return np.asarray(free)


def _nodes(model: Model, places: Sequence[Any]) -> IntArray:
    found = [model.region(place).nodes for place in places]
    return np.unique(np.concatenate(found)) if found else np.empty(0, np.int64)


def _unknowns(whole: ModelDynamics, nodes: IntArray) -> IntArray:
    """Free unknowns that the motion of nodes depends on."""
    if not len(nodes):
        return np.empty(0, np.int64)
    dofs = whole.dofs
    place = np.empty(dofs.n_points, np.int64)
    place[np.arange(dofs.n_points) if dofs.order is None else dofs.order] = np.arange(dofs.n_points)
    rows = (place[nodes][:, None] * dofs.components + np.arange(dofs.components)).ravel()
    if whole.map.transform is not None:
        rows = np.unique(whole.map.transform.tocsr()[rows].indices).astype(np.int64)
    return np.sort(rows[whole.free[rows]])


def _inputs(whole: ModelDynamics, names: Sequence[str]) -> tuple[list[str], FloatArray]:
    """Loads on the unknowns that answers are to be good for: cases, and acceleration of the base."""
    inputs, columns = [], []
    for name in names:
        loads = ForceHistory(loads=name)
        loads.check(whole.model)
        inputs.append(name)
        columns.append(whole.force(loads.nodal_forces(whole.model)))
    if any(support.is_base(whole.model) for support in whole.model.supports):
        for axis in "xyz"[: whole.model.dimension] if not whole.model.axisymmetric else "y":
            inputs.append(f"base {axis}")
            columns.append(-whole.force(whole.inertia(whole.base(axis))))
    return inputs, np.stack(columns, axis=1) if columns else np.zeros((whole.size, 0))


def _static_modes(whole: Dynamics, held: _Held, interface: IntArray) -> FloatArray:
    """Static shapes of a unit motion of each kept unknown, the others held, float64[size, b]."""
    _room(whole.size, len(interface))
    out = np.zeros((whole.size, len(interface)))
    out[interface, np.arange(len(interface))] = 1.0
    for start in range(0, len(interface), _AT_ONCE):
        some = slice(start, min(start + _AT_ONCE, len(interface)))
        unit = np.ascontiguousarray(out[:, some])
        out[:, some] -= held.solve(whole.stiffness(unit))
    return out


def _modes(
    held: _Held, count: int | None, top: float | None, solver: LinearSolver | None
) -> tuple[FloatArray, FloatArray]:
    """Squared frequencies and shapes of the held part."""
    most = int(held.free.sum()) - held.rigid.shape[1]
    wanted = min(COUNT if count is None else count, most)
    if most == 0 or (top is None and wanted == 0):
        return np.zeros(0), np.zeros((held.size, 0))
    found = eigenpairs(
        held.system(), held.system(0.0, 1.0), count=wanted if top is None else None,
        up_to=None if top is None else (2.0 * np.pi * top) ** 2, rigid=held.rigid, solver=solver,
    )  # fmt: skip
    return found.values, found.vectors


def _completed(held: _Held, shapes: FloatArray, loads: FloatArray) -> FloatArray:
    """Static shapes of loads on the held part, as far as its modes lack them; of unit mass."""
    out = np.zeros((held.size, 0))
    if not loads.shape[1] or not held.free.any():
        return out
    for answer in held.solve(loads).T:
        energy = float(answer @ held.stiffness(answer))
        rest = answer
        for _ in range(2):
            for known in (shapes, out):
                if known.shape[1]:
                    rest = rest - known @ (known.T @ held.mass(rest))
        mass, left = float(rest @ held.mass(rest)), float(rest @ held.stiffness(rest))
        if left > _NEW * energy and mass > 0.0:
            out = np.column_stack([out, rest / np.sqrt(mass)])
    return out


def _room(size: int, columns: int) -> None:
    free, wanted = free_bytes(), 8.0 * size * columns * _COPIES
    if free is not None and wanted > free:
        raise ResourceError(
            f"{columns} shapes of {size:,} unknowns take about {wanted / 1e9:.1f} GB while they are made, "
            f"and {free / 1e9:.1f} GB are free; keep fewer nodes or ask for fewer modes"
        )


def _made(
    model: Model, whole: ModelDynamics, shapes: FloatArray, inputs: list[str], columns: FloatArray,
    nodes: IntArray, method: str, n_kept: int, n_modes: int, values: FloatArray, top: float | None,
    prestress: str | None, solver: LinearSolver | None,
) -> ReducedModel:  # fmt: skip
    """The reduced matrices, and what its errors are made of."""
    shapes = np.ascontiguousarray(shapes)
    k, m = shapes.T @ whole.stiffness(shapes), shapes.T @ whole.mass(shapes)
    k, m = 0.5 * (k + k.T), 0.5 * (m + m.T)
    c = shapes.T @ whole.damping(shapes) if whole.has_damping else np.zeros_like(k)
    lossy = loss_stiffness(whole)
    if lossy is not None:
        h = shapes.T @ np.where(whole.free[:, None], lossy @ shapes, 0.0)
        lossy = 0.5 * (h + h.T)
    rigid = np.asarray(np.linalg.solve(m, shapes.T @ whole.mass(whole.rigid)), np.float64)
    nodal = whole.displacement(shapes)
    n_more = shapes.shape[1] - n_kept - n_modes
    said = f"{method}: " + ", ".join(
        words for words, n in (
            (f"{n_kept} kept", n_kept), (f"{n_modes} modes", n_modes), (f"{n_more} static shapes", n_more),
        ) if n
    ) + (f", under {prestress!r}" if prestress else "")  # fmt: skip
    highest = float(np.sqrt(max(values.max(initial=0.0), 0.0))) / (2.0 * np.pi)
    return ReducedModel(
        model, shapes=nodal, carried=whole.inertia(nodal),
        base_inertia=whole.inertia(rigid_motions(model.mesh.points, 3, False)), k=k, m=m, c=0.5 * (c + c.T),
        lossy=lossy, rigid=rigid, kept=nodes, residuals=residuals_of(whole, shapes, k, inputs, columns),
        method=method, said=said, band=max(highest, top or 0.0), key=key_of(model), prestress=prestress,
        whole=lambda: whole, solver=solver,
    )  # fmt: skip
