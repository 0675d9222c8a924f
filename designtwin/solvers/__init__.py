"""Linear solvers: operators and matrices in, unknowns out. No meshes here."""

from designtwin.solvers.choice import AutomaticSolver, choose_solver
from designtwin.solvers.direct import Direct, Estimate, estimate
from designtwin.solvers.multigrid import MultigridCG
from designtwin.solvers.solution import Factorization, LinearSolver, Solution
from designtwin.solvers.system import (
    Coarsening,
    DiagonalTerm,
    FreeTerm,
    MatrixTerm,
    Operator,
    ScaledTerm,
    System,
    Term,
)

__all__ = [
    "AutomaticSolver",
    "Coarsening",
    "DiagonalTerm",
    "Direct",
    "Estimate",
    "Factorization",
    "FreeTerm",
    "LinearSolver",
    "MatrixTerm",
    "MultigridCG",
    "Operator",
    "ScaledTerm",
    "Solution",
    "System",
    "Term",
    "choose_solver",
    "estimate",
]
