"""PETSc GAMG."""

from petsc_peer import *  # noqa: F403
from petsc_peer import GAMG, rank, turn  # noqa: F401

NAME = "PETSc GAMG"
SETTINGS = (
    "Debian's PETSc, one MPI rank per thread; element matrices by numpy, `setValuesBlockedRCV` into AIJ of "
    "block size 3; CG, rigid-body near-nullspace, `"
    + " ".join(f"-{k} {v}" for k, v in GAMG.items())
    + "`; cell stress "
    "by numpy"
)
