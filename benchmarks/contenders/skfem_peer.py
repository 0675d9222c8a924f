"""scikit-fem's assembly and MKL PARDISO through pypardiso."""

from __future__ import annotations

from typing import Any

import numpy as np

NAME = "scikit-fem + PARDISO"
SETTINGS = (
    "`ElementVector(ElementTetP2())`, `intorder=2`, `condense`, `pypardiso` (MKL, Cholesky of the upper "
    "half, matrix type 2); largest displacement at nodes; von Mises at quadrature points"
)
INSTALL = "pip install scikit-fem pypardiso"
PACKAGES = ("scikit-fem", "pypardiso", "mkl")


def probe() -> None:
    import pypardiso  # noqa: F401
    import skfem  # noqa: F401


def load(case: dict[str, Any]) -> Any:
    import skfem

    corners = case["corners"]
    number = np.full(len(case["points"]), -1)
    number[corners] = np.arange(len(corners))
    case["mesh"] = skfem.MeshTet(
        np.ascontiguousarray(case["points"][corners].T), np.ascontiguousarray(number[case["cells"][:, :4]].T)
    )
    return case


def run(state: dict[str, Any], phase: Any) -> dict[str, Any]:
    import pypardiso
    import scipy.sparse as sp
    import skfem
    from skfem.helpers import ddot, eye, sym_grad, trace

    young, nu = state["E"], state["nu"]
    lame, shear = young * nu / (1 + nu) / (1 - 2 * nu), young / 2 / (1 + nu)

    @skfem.BilinearForm
    def stiffness(u: Any, v: Any, _: Any) -> Any:
        strain = sym_grad(u)
        return ddot(2 * shear * strain + lame * eye(trace(strain), 3), sym_grad(v))

    mesh = state["mesh"]
    with phase("assemble"):
        element = skfem.ElementVector(skfem.ElementTetP2())
        basis = skfem.Basis(mesh, element, intorder=2)
        matrix = stiffness.assemble(basis)
        end = mesh.p[0].max() - 1e-9
        face = mesh.facets_satisfying(lambda x: x[0] > end, boundaries_only=True)
        held = basis.get_dofs(mesh.facets_satisfying(lambda x: x[0] < 1e-9, boundaries_only=True))
        side = basis.boundary(face)
        area = skfem.Functional(lambda w: 1.0 + 0.0 * w.x[0]).assemble(side)
        f = skfem.LinearForm(lambda v, w: -state["force"] / area * v[2]).assemble(side)
        a, b, x, free = skfem.condense(matrix, f, D=held)
    with phase("solve"):
        solver = pypardiso.PyPardisoSolver(mtype=2)
        upper = sp.triu(a, format="csr")
        x[free] = solver.solve(upper, b)
    with phase("stress"):
        strain = sym_grad(basis.interpolate(x))
        stress = 2 * shear * strain + lame * eye(trace(strain), 3)
        deviator = stress - eye(trace(stress) / 3, 3)
        np.sqrt(1.5 * ddot(deviator, deviator))
    at = basis.nodal_dofs
    return {
        "largest": float(np.linalg.norm(x[at], axis=0).max()),
        "n_dof": len(x),
        "iterations": 0,
        "residual": float(np.linalg.norm(b - a @ x[free]) / np.linalg.norm(b)),
    }
