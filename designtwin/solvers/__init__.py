"""Linear solvers: operators and matrices in, unknowns out. No meshes here."""

from designtwin.solvers.choice import AutomaticSolver, choose_solver
from designtwin.solvers.direct import Direct
from designtwin.solvers.multigrid import MultigridCG
from designtwin.solvers.solution import Factorization, LinearSolver, Solution
from designtwin.solvers.system import Coarsening, DiagonalTerm, MatrixTerm, ScaledTerm, System, Term

__all__ = [
    "AutomaticSolver",
    "Coarsening",
    "DiagonalTerm",
    "Direct",
    "Factorization",
    "LinearSolver",
    "MatrixTerm",
    "MultigridCG",
    "ScaledTerm",
    "Solution",
    "System",
    "Term",
    "choose_solver",
]
