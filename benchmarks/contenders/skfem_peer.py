"""scikit-fem's assembly and MKL PARDISO through pypardiso."""

from __future__ import annotations

from typing import Any

import numpy as np

NAME = "scikit-fem + PARDISO"
SETTINGS = (
    "`ElementVector(ElementTetP2())`, `intorder=2`, `condense`, `pypardiso` (MKL, Cholesky of the upper "
    "half, matrix type 2); largest displacement at nodes; von Mises at quadrature points. Transient: mass by "
    "`intorder=4`, C / dt + K factored once, then a product with C and PARDISO's phase 33 per step. Modes: "
    "`scipy.sparse.linalg.eigsh` in shift-invert mode around PARDISO's factors, `tol=1e-9`; its assembly is "
    "not timed"
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
    if case["physics"] == "modes":
        import harness

        case["before"] = harness.rss()  # matrices count as memory, though not as time
        case["stiffness"], case["mass"] = _vibrating(case)
    return case


def run(state: dict[str, Any], phase: Any) -> dict[str, Any]:
    if state["physics"] == "modes":
        return modes(state, phase)
    if state["physics"] == "transient":
        return transient(state, phase)
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


def _vibrating(case: dict[str, Any]) -> tuple[Any, Any]:
    """Stiffness and mass of the free unknowns."""
    import skfem
    from skfem.helpers import ddot, dot, eye, sym_grad, trace

    young, nu = case["E"], case["nu"]
    lame, shear = young * nu / (1 + nu) / (1 - 2 * nu), young / 2 / (1 + nu)

    @skfem.BilinearForm
    def stiffness(u: Any, v: Any, _: Any) -> Any:
        strain = sym_grad(u)
        return ddot(2 * shear * strain + lame * eye(trace(strain), 3), sym_grad(v))

    @skfem.BilinearForm
    def mass(u: Any, v: Any, _: Any) -> Any:
        return case["density"] * dot(u, v)

    mesh, element = case["mesh"], skfem.ElementVector(skfem.ElementTetP2())
    basis = skfem.Basis(mesh, element, intorder=2)
    held = basis.get_dofs(mesh.facets_satisfying(lambda x: x[0] < 1e-9, boundaries_only=True))
    free = basis.complement_dofs(held)
    k = stiffness.assemble(basis)
    m = mass.assemble(skfem.Basis(mesh, element, intorder=4))
    return k[free][:, free].tocsr(), m[free][:, free].tocsr()


def modes(state: dict[str, Any], phase: Any) -> dict[str, Any]:
    """Lanczos (ARPACK) in shift-invert mode, K^-1 by PARDISO."""
    import harness
    import problems
    import pypardiso
    import scipy.sparse as sp
    from scipy.sparse.linalg import LinearOperator, eigsh

    k, m = state["stiffness"], state["mass"]
    count = [0]
    with phase("factor"):
        solver = pypardiso.PyPardisoSolver(mtype=2)
        upper = sp.triu(k, format="csr")
        solver.factorize(upper)
        solver.set_phase(33)

    def solve(b: np.ndarray) -> np.ndarray:
        count[0] += 1
        return np.asarray(solver._call_pardiso(upper, b.reshape(-1, 1))).ravel()

    with phase("modes"):
        inverse = LinearOperator(k.shape, solve, dtype=np.float64)
        values, vectors = eigsh(k, problems.MODES, m, sigma=0.0, OPinv=inverse, tol=1e-9)
    memory = harness.peak() - state["before"]
    order = np.argsort(values)
    values, vectors = values[order], vectors[:, order]
    left = k @ vectors - (m @ vectors) * values
    frequencies = np.sqrt(values) / (2.0 * np.pi)
    return {
        "largest": float(frequencies[-1]), "n_dof": 3 * len(state["points"]), "iterations": count[0],
        "residual": float((np.linalg.norm(left, axis=0) / np.linalg.norm(k @ vectors, axis=0)).max()),
        "frequencies": frequencies.tolist(), "rss_process_mib": memory,
    }  # fmt: skip


def transient(state: dict[str, Any], phase: Any) -> dict[str, Any]:
    """Implicit Euler steps of one size: (C / dt + K) T = C / dt T0 + f."""
    import pypardiso
    import scipy.sparse as sp
    import skfem
    from skfem.helpers import dot, grad

    @skfem.BilinearForm
    def conductivity(u: Any, v: Any, _: Any) -> Any:
        return state["k"] * dot(grad(u), grad(v))

    @skfem.BilinearForm
    def capacity(u: Any, v: Any, _: Any) -> Any:
        return state["capacity"] / state["step"] * u * v

    mesh = state["mesh"]
    with phase("assemble"):
        element = skfem.ElementTetP2()
        basis = skfem.Basis(mesh, element, intorder=2)
        stiffness = conductivity.assemble(basis)
        mass = capacity.assemble(skfem.Basis(mesh, element, intorder=4))
        end = mesh.p[0].max() - 1e-9
        held = basis.get_dofs(mesh.facets_satisfying(lambda x: x[0] < 1e-9, boundaries_only=True))
        side = basis.boundary(mesh.facets_satisfying(lambda x: x[0] > end, boundaries_only=True))
        area = skfem.Functional(lambda w: 1.0 + 0.0 * w.x[0]).assemble(side)
        f = skfem.LinearForm(lambda v, w: state["heat"] / area * v).assemble(side)
        free = basis.complement_dofs(held)
        mass = mass[free][:, free].tocsr()
        upper = sp.triu(stiffness[free][:, free] + mass, format="csr")
        f = f[free]
    with phase("factor"):
        solver = pypardiso.PyPardisoSolver(mtype=2)
        solver.factorize(upper)
        # Straight to the back substitution: `solve` would compare the matrix with the factored one each time.
        solver.set_phase(33)
    with phase("steps"):
        x = np.zeros(len(f))
        for _ in range(state["steps"]):
            b = mass @ x + f
            x = solver._call_pardiso(upper, b)
    at = np.zeros(basis.N)
    at[free] = x

    def after() -> dict[str, float]:
        whole = upper + sp.triu(upper, 1).T
        return {"residual": float(np.linalg.norm(b - whole @ x) / np.linalg.norm(b))}

    return {
        "largest": float(np.abs(at[basis.nodal_dofs]).max()), "n_dof": int(basis.N), "iterations": 0,
        "after": after,
    }  # fmt: skip
