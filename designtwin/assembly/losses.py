"""What materials dissipate by their loss factors: the imaginary part of the stiffness."""

from __future__ import annotations

from weakref import WeakKeyDictionary

import numpy as np
from scipy import sparse

from designtwin.assembly.cells import CellBlock
from designtwin.assembly.cyclic import CyclicDynamics
from designtwin.assembly.dynamics import Dynamics, ModelDynamics
from designtwin.assembly.matrices import CellMatrices, cell_matrix, stiffness_of
from designtwin.assembly.systems import turned
from designtwin.solvers.system import MatrixTerm, SparseMatrix
from designtwin.typing import FloatArray, IntArray

_kept: WeakKeyDictionary[Dynamics, SparseMatrix | None] = WeakKeyDictionary()
"""One matrix for each set of equations: sweeps and their checks ask again and again."""


def loss_stiffness(dynamics: Dynamics) -> SparseMatrix | None:
    """H of K + i H: the stiffness of cells times the loss factor of their material, CSR [size, size], N/m.

    Rows of fixed unknowns too; None where no material loses energy.
    """
    if dynamics not in _kept:
        _kept[dynamics] = dynamics.losses() if hasattr(dynamics, "losses") else _assembled(dynamics)
    return _kept[dynamics]


def _assembled(dynamics: Dynamics) -> SparseMatrix | None:
    if isinstance(dynamics, CyclicDynamics):
        each = [(dynamics.share(h), loss_stiffness(dynamics.sub(h))) for h in dynamics.harmonics]
        blocks = [share * own for share, own in each if own is not None]
        return sparse.block_diag(blocks, format="csr") if blocks else None
    if not isinstance(dynamics, ModelDynamics):
        raise NotImplementedError(f"{type(dynamics).__name__} does not say what materials dissipate (losses)")
    model, topology = dynamics.model, dynamics.topology
    factor = model.cell_loss_factor()
    if factor is None or not factor.any():
        return None
    members = tuple(
        (i, np.arange(len(block.conn)))
        for i, block in enumerate(topology.blocks)
        if factor[block.cells].any()
    )
    of = _times(stiffness_of(model), factor)
    c = dynamics.dofs.components
    whole = MatrixTerm(cell_matrix(topology, of, c, members=members))
    matrix: SparseMatrix = turned((whole,), dynamics.map, c)[0].matrix()
    return matrix.tocsr()


def _times(of: CellMatrices, factor: FloatArray) -> CellMatrices:
    def matrices(block: CellBlock, rows: IntArray) -> FloatArray:
        return np.asarray(factor[block.cells[rows], None, None] * of(block, rows))

    return matrices
