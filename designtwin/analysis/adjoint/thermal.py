"""Adjoints of steady heat: with the transposed tangent where conduction or exchange is not linear.

With R(T) = K(T) T - Q(T) = 0 on T = t q + u0 and J = dR/dT, the adjoint psi = t lam solves t^T J^T t lam =
t^T dg/dT, and over any parameter

    dg = g_p + (dt q + du0) . (g_T - J^T psi) - psi . R_p - (dt lam) . R

Source: Haftka and Gurdal, Elements of Structural Optimization, 3rd ed. (1992), sec. 7.4 and 8.3.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from designtwin.analysis.newton import HeatSolver
from designtwin.assembly import HeatEquations, cell_blocks, heat_cells
from designtwin.assembly.gradients import CaseCells
from designtwin.errors import NoAdjointError
from designtwin.model.model import Model
from designtwin.requirements.responses import Response
from designtwin.results import SolveInfo
from designtwin.results.sensitivity import (
    HeatAction,
    Partials,
    Sensitivity,
    SupportAction,
    conduction_partials,
)
from designtwin.solvers.krylov import Preconditioner, conjugate_gradients, gmres
from designtwin.typing import FloatArray

_RTOL = 1e-11
"""Residual of adjoints over their right-hand sides, where they are iterated for."""
_BALANCED = 1e-6
"""Share of all heat of prescribed temperatures by which a sum of some may be off."""


@dataclass(frozen=True, eq=False)
class HeatState:
    """One solved steady thermal case, with what its adjoints need.

    Parameters
    ----------
    model : Model
    answer : ThermalCase
    solver : HeatSolver
        Its equations, and a preconditioner made on the way to the answer.
    kept : bool
        Whether it is that of the analysis.
    """

    model: Model
    answer: Any
    solver: HeatSolver
    kept: bool

    @classmethod
    def of(cls, result: Any, case: Any) -> HeatState:
        """From what the analysis kept; else set up anew."""
        solver = result.kept.get(case.name)
        if solver is not None:
            return cls(result.model, case, solver, True)
        cells = heat_cells(result.model, cell_blocks(result.model))
        return cls(result.model, case, HeatSolver(HeatEquations(result.model, case.case, cells)), False)

    @property
    def equations(self) -> HeatEquations:
        return self.solver.equations

    @cached_property
    def u(self) -> FloatArray:
        """Temperature in the order of unknowns, float64[n_dof], K."""
        out = self.equations.dofs.gather(self.answer.temperature)
        out.setflags(write=False)
        return out

    @cached_property
    def cells(self) -> tuple[CaseCells, ...]:
        return tuple(CaseCells(self.model, self.answer.case, block) for block in self.answer.recovery.blocks)

    @cached_property
    def rest(self) -> FloatArray:
        """R(T) at all nodes, float64[n_dof], W."""
        return self.equations.conducted(self.u) - self.equations.given(self.u).total

    def adjoint(self, source: FloatArray) -> tuple[FloatArray, SolveInfo]:
        """lam float64[n_dof] for a slope dg/dT float64[n_points].

        Raises
        ------
        ConvergenceError
            If the iteration ends before its tolerance.
        """
        start, equations = time.perf_counter(), self.equations
        right = equations.map().at_free(equations.dofs.gather(source))
        system = self.solver.system(self.u, None, 0.0)
        made = self.solver.preconditioner(system)
        size = float(np.abs(right).max(initial=0.0))
        if size == 0.0:
            lam, iterations = np.zeros_like(right), 0
        else:
            found = self._iterated(system, made, right / size)
            lam, iterations = found.x * size, found.iterations
        return lam, SolveInfo(
            solver=f"adjoint by {made.title}", n_dof=len(right), iterations=iterations,
            seconds={"adjoint solve": time.perf_counter() - start},
            notes=made.notes if self.kept else (*made.notes, "the adjoint set up anew"),
        )  # fmt: skip

    def _iterated(self, system: Any, made: Preconditioner, right: FloatArray) -> Any:
        equations = self.equations
        product = equations.product(self.u, None, 0.0, lambda: system, transposed=True)
        if not equations.symmetric:
            return gmres(product, made, right, rtol=_RTOL)
        wanted = _RTOL * float(np.sqrt((right * right).sum()))
        return conjugate_gradients(product, made, right, enough=lambda norm, _: norm <= wanted)

    def carried(self, weight: FloatArray) -> FloatArray:
        """Temperature float64[n_dof] that stands for a weight [n_points] on heat by prescribed temperatures.

        Raises
        ------
        NoAdjointError
            If prescribed temperatures and connections meet so that none does.
        """
        equations = self.equations
        out = np.asarray(equations.map().carried(equations.dofs.gather(weight)))
        size = float(np.abs(self.answer.held).sum())
        if abs(float((out * self.rest).sum() - (weight * self.answer.held).sum())) > _BALANCED * size:
            raise NoAdjointError(
                f"case {self.answer.name!r}: nodes of prescribed temperature follow others by a connection, "
                "and no gradient is known of how the two share the heat"
            )
        return out

    def pulled(self, lifted: FloatArray) -> FloatArray:
        """Slope over temperature of lifted [n_dof] . R(T), float64[n_points]."""
        return np.asarray(self.equations.dofs.scatter(self.equations.pulled(self.u, lifted)))

    def partials(self, source: FloatArray, lam: FloatArray, lifted: FloatArray | float = 0.0) -> Partials:
        """Slope over everything of a response with dg/dT = source [n_points].

        Parameters
        ----------
        lifted : float64[n_dof]
            Of a response that holds lifted . R(T), whose slope over temperature is in `source`.
        """
        equations = self.equations
        map_, dofs = equations.map(), equations.dofs
        whole = np.asarray(map_.change(lam))
        psi = whole - lifted
        nodal = dofs.scatter(psi)
        total = Partials(model=self.model)
        for cells in self.cells:
            total = total + conduction_partials(self.model, cells, nodal, self.answer.temperature)
        actions = ((1.0, HeatAction(self.answer.case, equations.topology, self.u, psi)),)
        support = ((1.0, _GivenTemperature(self, source, lam, whole)),)
        heat = {self.answer.case.name: nodal}
        return total + Partials(model=self.model, heat=heat, actions=(*actions, *support))


@dataclass(frozen=True, eq=False)
class _GivenTemperature:
    """`SupportAction` of given temperatures, made when a variable moves them."""

    state: HeatState
    source: FloatArray
    lam: FloatArray
    psi: FloatArray

    def along(self, directions: Any) -> FloatArray:
        moves = directions.heat_supports(self.state.answer.case)
        if all(change is None and offset is None for change, offset in moves):
            return np.zeros(len(directions))
        return self._action.along(directions)

    @cached_property
    def _action(self) -> SupportAction:
        state, dofs = self.state, self.state.equations.dofs
        map_ = state.equations.map()
        pull = dofs.gather(self.source) - state.equations.pulled(state.u, self.psi)
        q = np.where(map_.fixed, 0.0, state.u)
        return SupportAction(
            state.answer.case, dofs.scatter(q), dofs.scatter(self.lam), dofs.scatter(pull),
            dofs.scatter(state.rest), heat=True,
        )  # fmt: skip


def thermal_sensitivities(result: Any, quantity: Any, responses: Sequence[Response]) -> list[Sensitivity]:
    """Sensitivities of responses of a steady thermal result, one each."""
    out = []
    for response in responses:
        state = HeatState.of(result, result[response.case])
        source, lifted = response.temperature, None
        assert source is not None
        if response.held is not None:
            lifted = state.carried(response.held)
            source = source + state.pulled(lifted)
        lam, info = state.adjoint(source)
        total = Sensitivity(
            model=result.model, response=quantity.label, case=response.case, dimension=quantity.dimension,
            value=response.value, true=response.true, actions=response.actions, info=info,
        )  # fmt: skip
        out.append(total + state.partials(source, lam, 0.0 if lifted is None else lifted))
    return out
