"""hypre's BoomerAMG through PETSc, for heat."""

import petsc_peer
from petsc_peer import *  # noqa: F403
from petsc_peer import BOOMER, rank, turn  # noqa: F401

NAME = "BoomerAMG"
SETTINGS = (
    "hypre through Debian's PETSc, one MPI rank per thread, assembled as for GAMG; CG, `"
    + " ".join(f"-{k} {v}" for k, v in BOOMER.items())
    + "`"
)
petsc_peer.OPTIONS = BOOMER
