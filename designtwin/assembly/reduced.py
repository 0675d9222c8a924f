"""A model reduced to some shapes: the same equations of motion, small and dense, and the error this makes.

Sources: Craig and Bampton, AIAA J. 6 (1968) 1313-1319; Parlett, The Symmetric Eigenvalue Problem (1998),
sec. 11.5 and 15.9: bounds by residuals; Prud'homme et al., J. Fluids Eng. 124 (2002) 70-80: residuals from
parts that are made once.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from designtwin.assembly.dynamics import Dynamics, dynamics
from designtwin.errors import DesignTwinError, ModelError, StoreError
from designtwin.io.files import atomic
from designtwin.model.domains import rigid_motions
from designtwin.model.model import Model
from designtwin.solvers.solution import LinearSolver
from designtwin.solvers.stepping import Scheme, Stepper
from designtwin.solvers.system import MatrixTerm, SparseMatrix, System
from designtwin.typing import FloatArray, IntArray
from designtwin.units import show

_FORMAT = "designtwin reduced model 1"
_IN_SPAN = 1e-7  # of a motion, that shapes and rigid motions may miss
_TINY = 1e-13

Field = TypeVar("Field", bound=NDArray[Any])


@dataclass(frozen=True, eq=False)
class Residuals:
    """What residuals of the whole model are made of, for their size without any product of the whole model.

    The residual f - M u'' - C u' - K u of a motion in the shapes is a sum of a few fields; `gram` holds what
    K^-1 makes of each, in the scalar product of K and with the shapes' share taken out.

    Parameters
    ----------
    inputs : tuple of str
        Loads that are known: names of load cases, and "base x" and the like.
    columns : float64[m, k]
        Their forces on the reduced unknowns.
    gram : float64[k + 2 m, k + 2 m]
        Of inputs, inertia and damping of each shape.
    """

    inputs: tuple[str, ...]
    columns: FloatArray
    gram: FloatArray

    def size(self, amounts: NDArray[Any], acceleration: NDArray[Any], velocity: NDArray[Any]) -> FloatArray:
        """Root of r K^-1 r, float64[n], for amounts [k, n] of the inputs and rates [m, n] of the unknowns."""
        parts = np.vstack([amounts, -acceleration, -velocity])
        squares = np.einsum("in,ij,jn->n", parts.conj(), self.gram, parts).real
        return np.asarray(np.sqrt(np.maximum(squares, 0.0)))


class ReducedModel(Dynamics):
    """Mass, damping and stiffness in the amplitudes of some shapes of a model; made by `reduce`.

    It is passed to ``solve_modes``, ``solve_dynamics`` and the like in place of the model; their answers are
    fields of the whole part.

    Parameters
    ----------
    model : Model
    shapes : float64[n_points, 3, m]
        Displacement per unit of each unknown, m.
    carried : float64[n_points, 3, m]
        Nodal forces of a unit acceleration of each unknown, kg m.
    base_inertia : float64[n_points, 3, 6]
        Those of unit rigid motions along and about x, y, z.
    k, m, c : float64[m, m]
    lossy : float64[m, m], optional
        Imaginary part of the stiffness by loss factors of materials.
    rigid : float64[m, r]
        Motions that cost no energy, of unit mass.
    kept : int64[b]
        Nodes whose motion is kept as it is; their unknowns come first.
    residuals : Residuals
    method, said : str
        What it was made by, and of what.
    band : float
        Frequency up to which its modes are those of the model, Hz.
    key : str
        Hash of the model.
    prestress : str, optional
        The load case under which it moves.
    whole : function that gives the equations of the model, optional
    """

    def __init__(
        self, model: Model, *, shapes: FloatArray, carried: FloatArray, base_inertia: FloatArray,
        k: FloatArray, m: FloatArray, c: FloatArray, lossy: FloatArray | None, rigid: FloatArray,
        kept: IntArray, residuals: Residuals, method: str, said: str, band: float, key: str,
        prestress: str | None = None, whole: Callable[[], Dynamics] | None = None,
        solver: LinearSolver | None = None,
    ) -> None:  # fmt: skip
        self.model, self.shapes, self.carried, self.base_inertia = model, shapes, carried, base_inertia
        self.k, self.m, self.c, self.lossy = k, m, c, lossy
        self.__dict__["rigid"] = rigid  # the property of the base class would look for it
        self.kept, self.residuals, self.method, self.said = kept, residuals, method, said
        self.band, self.key, self.prestress, self.solver = band, key, prestress, solver
        self.free = np.ones(len(k), bool)
        self._whole = whole
        self._systems: dict[tuple[float, float, float], System] = {}

    def __repr__(self) -> str:
        return f"<ReducedModel: {self} of {self.model!r}>"

    def __str__(self) -> str:
        return f"{self.size} unknowns ({self.said}), good to about {show(self.band, 'frequency')}"

    # As equations of motion

    @property
    def has_damping(self) -> bool:
        return bool(self.c.any())

    def system(self, stiffness: float = 1.0, mass: float = 0.0, damping: float = 0.0) -> System:
        weights = (float(stiffness), float(mass), float(damping))
        if weights not in self._systems:
            total = stiffness * self.k + mass * self.m + damping * self.c
            made = System(
                terms=(MatrixTerm(sparse.csr_array(total)),), block=1, free=self.free, definite=True
            )
            if sorted(weights) != [0.0, 0.0, 1.0]:
                return made
            self._systems[weights] = made
        return self._systems[weights]

    def losses(self) -> SparseMatrix | None:
        """Imaginary part of the stiffness by loss factors of materials; None where there are none."""
        return None if self.lossy is None else sparse.csr_array(self.lossy)

    def force(self, nodal: FloatArray) -> FloatArray:
        return np.asarray(np.einsum("nim,ni...->m...", self.shapes, nodal, optimize=True))

    def displacement(self, q: Field) -> Field:
        return np.asarray(np.tensordot(self.shapes, q, 1))  # type: ignore[return-value]

    def inertia(self, motion: FloatArray) -> FloatArray:
        columns = motion.reshape(self.shapes.shape[0] * 3, -1)
        amounts, missing = self._amounts(columns)
        if missing > _IN_SPAN:
            return self.whole.inertia(motion)
        return np.asarray((self._forces @ amounts).reshape(motion.shape))

    @cached_property
    def _motions(self) -> FloatArray:
        """Shapes and rigid motions as columns, float64[3 n_points, m + 6]."""
        n = len(self.shapes)
        rigid = rigid_motions(self.model.mesh.points, 3, False)
        return np.hstack([self.shapes.reshape(3 * n, -1), rigid.reshape(3 * n, -1)])

    @cached_property
    def _forces(self) -> FloatArray:
        n = len(self.shapes)
        return np.hstack([self.carried.reshape(3 * n, -1), self.base_inertia.reshape(3 * n, -1)])

    @cached_property
    def _inverse(self) -> tuple[FloatArray, FloatArray]:
        size = np.linalg.norm(self._motions, axis=0)
        size = np.where(size > 0.0, size, 1.0)
        gram = self._motions.T @ self._motions / np.outer(size, size)
        return np.linalg.pinv(gram, rcond=_TINY, hermitian=True), size

    def _amounts(self, columns: FloatArray) -> tuple[FloatArray, float]:
        """Amounts of shapes and rigid motions that make up motions, and what they miss over the largest."""
        inverse, size = self._inverse
        amounts = np.zeros((len(size), columns.shape[1]))
        rest = columns
        for _ in range(3):
            amounts += (inverse @ (self._motions.T @ rest / size[:, None])) / size[:, None]
            rest = columns - self._motions @ amounts
        most = float(np.abs(columns).max(initial=0.0))
        return amounts, float(np.abs(rest).max(initial=0.0)) / most if most > 0.0 else 0.0

    @property
    def whole(self) -> Dynamics:
        """The equations of motion of the model itself; assembled when asked for."""
        if self._whole is None:
            raise ModelError(
                "this reduced model was loaded from a file and made under a prestress: what asks for the "
                "whole model, as forces of supports do, needs it reduced again"
            )
        made = self.__dict__.get("_made")
        if made is None:
            made = self.__dict__["_made"] = self._whole()
        return made

    def support_forces(self, displacement: FloatArray, force: FloatArray) -> FloatArray:
        return self.whole.support_forces(displacement, force)

    # The error

    def frequency_errors(self, omega2: FloatArray, unknowns: FloatArray) -> tuple[FloatArray, FloatArray]:
        """How far frequencies of the reduced model lie above those of the whole one, over themselves.

        Parameters
        ----------
        omega2 : float64[n]
            rad^2/s^2, as ``solve_modes`` finds them: ``modes.omega2``.
        unknowns : float64[m, n]
            ``modes.shapes``, of unit mass.

        Returns
        -------
        estimate : float64[n]
            What the residual makes of the error while modes that are left out are stiffer than the band; inf
            beyond it.
        bound : float64[n]
            Within which, on either side, the whole model has a frequency for sure; much wider.
        """
        none = np.zeros((len(self.residuals.inputs), unknowns.shape[1]))
        rho = self.residuals.size(none, -unknowns * omega2, np.zeros_like(unknowns))
        moves = omega2 > 0.0
        safe = np.where(moves, omega2, 1.0)
        beyond = 1.0 - safe / (2.0 * np.pi * self.band) ** 2
        # omega_h^2 - omega^2 is the sum of r_i^2 / (omega_i^2 - omega^2) over what is left out.
        estimate = np.where(beyond > 0.0, 0.5 * rho**2 / safe / np.where(beyond > 0.0, beyond, 1.0), np.inf)
        # |1 / omega_h^2 - 1 / omega^2| <= rho / omega_h^3 for some omega of the whole model.
        share = rho / np.sqrt(safe)
        near = share < 1.0
        bound = np.where(near, 1.0 / np.sqrt(1.0 - np.where(near, share, 0.0)) - 1.0, np.inf)
        return np.where(moves, estimate, 0.0), np.where(moves, bound, 0.0)

    def residual(
        self, amounts: NDArray[Any], velocity: NDArray[Any], acceleration: NDArray[Any],
        loads: FloatArray | None = None,
    ) -> FloatArray:  # fmt: skip
        """Energy that the part would gain if what a motion leaves unbalanced acted on it at rest, root of J.

        Parameters
        ----------
        amounts : [k, n]
            Of the loads: of ``residuals.inputs``, or of `loads`.
        velocity, acceleration : [m, n]
            Of the unknowns at n instants, or complex amplitudes at n frequencies; stiffness leaves nothing
            unbalanced that other shapes could feel.
        loads : float64[N, k], optional
            Forces on the unknowns of the whole model, where they are none of those inputs: it is solved once
            for each.

        Returns
        -------
        float64[n]
            The error in the energy norm, sqrt(e K e), where the motion is slow against what is left out.
        """
        known = self.residuals if loads is None else self._with(loads)
        return known.size(amounts, acceleration, velocity)

    def _with(self, loads: FloatArray) -> Residuals:
        """Residuals of other loads."""
        whole = self.whole
        psi = self._unknown_shapes
        inputs = np.stack([whole.solve(np.ascontiguousarray(f)) for f in loads.T], axis=1)
        inputs = inputs - psi @ np.linalg.lstsq(self.k, psi.T @ loads, rcond=_TINY)[0]
        k, old = loads.shape[1], len(self.residuals.inputs)
        parts = self._representers
        resisting = whole.stiffness(inputs)
        cross = resisting.T @ parts
        gram = np.zeros((k + parts.shape[1], k + parts.shape[1]))
        gram[:k, :k] = inputs.T @ resisting
        gram[:k, k:], gram[k:, :k] = cross, cross.T
        gram[k:, k:] = self.residuals.gram[old:, old:]
        return Residuals(("",) * k, psi.T @ loads, gram)

    @cached_property
    def _unknown_shapes(self) -> FloatArray:
        """The shapes in the unknowns of the whole model, float64[N, m]."""
        whole = self.whole
        stepper, zero = Stepper(whole, Scheme.of("Newmark")), np.zeros(whole.size)
        f = whole.force(self.carried)
        return np.stack([stepper.begin(0.0, zero, zero, one).a for one in f.T], axis=1)

    @cached_property
    def _representers(self) -> FloatArray:
        """What K^-1 makes of inertia and damping of each shape, less the shapes' share, float64[N, 2 m]."""
        return representers(self.whole, self._unknown_shapes, self.k)

    # Files

    def save(self, path: str | Path) -> Path:
        """Write it to an ``.npz`` file; the model itself stays where it is and is given to `load`.

        Raises
        ------
        StoreError
            If the file cannot be written.
        """
        told = {
            "format": _FORMAT, "key": self.key, "method": self.method, "said": self.said, "band": self.band,
            "inputs": list(self.residuals.inputs), "prestress": self.prestress,
        }  # fmt: skip
        arrays = {name: getattr(self, name) for name in _ARRAYS}
        arrays |= {"columns": self.residuals.columns, "gram": self.residuals.gram}
        if self.lossy is not None:
            arrays["lossy"] = self.lossy
        with atomic(Path(path), error=StoreError) as stream:
            np.savez(stream, told=np.array(json.dumps(told)), **arrays)
        return Path(path)

    @classmethod
    def load(cls, path: str | Path, model: Model) -> ReducedModel:
        """Read it back, for the model that it was made of.

        Raises
        ------
        StoreError
            If the file is no reduced model, damaged, or of another model.
        """
        try:
            with np.load(Path(path), allow_pickle=False) as data:
                told = json.loads(str(data["told"]))
                arrays = {name: data[name] for name in data.files if name != "told"}
        except FileNotFoundError:
            raise StoreError(f"{path}: there is no such file") from None
        except Exception as error:  # zip, header and value errors all mean the same
            raise StoreError(f"{path} is no reduced model, or damaged: {error}") from error
        if not isinstance(told, dict) or told.get("format") != _FORMAT or not set(_ARRAYS) <= arrays.keys():
            raise StoreError(f"{path} is no reduced model of this version")
        if told["key"] != key_of(model) or arrays["shapes"].shape[0] != model.mesh.n_points:
            raise StoreError(f"{path} is the reduction of another model; reduce this one")
        residuals = Residuals(tuple(told["inputs"]), arrays["columns"], arrays["gram"])
        return cls(
            model, **{name: arrays[name] for name in _ARRAYS}, lossy=arrays.get("lossy"), residuals=residuals,
            method=told["method"], said=told["said"], band=float(told["band"]), key=told["key"],
            prestress=told["prestress"], whole=None if told["prestress"] else lambda: dynamics(model),
        )  # fmt: skip


_ARRAYS = ("shapes", "carried", "base_inertia", "k", "m", "c", "rigid", "kept")


def key_of(model: Model) -> str:
    """Hash of a model; empty where functions of the user's are in it, which have none."""
    try:
        return model.content_hash()
    except DesignTwinError:
        return ""


def representers(whole: Dynamics, shapes: FloatArray, k: FloatArray) -> FloatArray:
    """What K^-1 makes of inertia and of damping of shapes [N, m], the shapes' own share taken out, [N, 2 m].

    k: shapes^T K shapes.
    """
    m = shapes.shape[1]
    out = np.zeros((len(shapes), 2 * m))
    fields = [whole.mass(shapes)]
    if whole.has_damping:
        fields.append(whole.damping(shapes))
    for i, f in enumerate(fields):
        solved = whole.solve(f)
        for _ in range(2):
            solved = solved - shapes @ np.linalg.lstsq(k, shapes.T @ whole.stiffness(solved), rcond=_TINY)[0]
        out[:, i * m : (i + 1) * m] = solved
    return out


def residuals_of(
    whole: Dynamics, shapes: FloatArray, k: FloatArray, inputs: Sequence[str], loads: FloatArray
) -> Residuals:
    """Parts of the residual of motions in shapes [N, m] under loads [N, k] (forces on the unknowns)."""
    parts = representers(whole, shapes, k)
    if loads.shape[1]:
        solved = whole.solve(np.ascontiguousarray(loads))
        for _ in range(2):
            solved = solved - shapes @ np.linalg.lstsq(k, shapes.T @ whole.stiffness(solved), rcond=_TINY)[0]
        parts = np.hstack([solved, parts])
    gram = parts.T @ whole.stiffness(parts)
    return Residuals(tuple(inputs), shapes.T @ loads, 0.5 * (gram + gram.T))
