"""Static elasticity on quadratic tetrahedra: assembly and solve, beside scikit-fem with scipy.

Same mesh, material, supports and load; both answer the largest displacement. scikit-fem assembles and
condenses, scipy's SuperLU solves (its default), PyAMG's smoothed aggregation with rigid-body modes solves
where a factorization would take minutes.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import harness
import numpy as np

ROOT = Path(__file__).resolve().parents[1]
E, NU = 210e9, 0.3


def _model(case: dict[str, Any]) -> Any:
    import designtwin as dtw

    mesh = dtw.read_mesh(ROOT / "meshes" / case["mesh"], length_unit="mm")
    return dtw.Model(
        mesh,
        materials={"body": dtw.LinearElastic(youngs_modulus=E, poissons_ratio=NU)},
        supports=[dtw.FixedSupport(on="bolt_holes")],
        load_cases={"lift": [dtw.Force(on="lug", value=(0.0, 0.0, -2500.0))]},
    )


def ours(case: dict[str, Any], phase: harness.Phases) -> dict[str, float]:
    import designtwin as dtw

    model = _model(case)
    with phase("assemble and solve"):
        result = dtw.solve_static(model)
    size = np.linalg.norm(result["lift"].displacement, axis=1).max()
    return {"largest displacement": float(size), "n_dof": float(model.mesh.n_points * 3)}


def _scikit_fem(case: dict[str, Any], phase: harness.Phases, solver: str) -> dict[str, float]:
    import skfem
    from skfem.helpers import ddot, eye, sym_grad, trace

    model = _model(case)
    mesh = model.mesh
    corners = mesh.cells["tetra10"]
    # scikit-fem's quadratic mesh: corners, then mid nodes in the order of its own edges.
    order = np.unique(corners[:, :4])
    number = np.full(mesh.n_points, -1)
    number[order] = np.arange(len(order))
    straight = skfem.MeshTet(mesh.points[order].T.copy(), number[corners[:, :4]].T.copy())
    element = skfem.ElementVector(skfem.ElementTetP2())
    lame, shear = E * NU / (1 + NU) / (1 - 2 * NU), E / 2 / (1 + NU)

    @skfem.BilinearForm
    def stiffness(u, v, w):  # type: ignore[no-untyped-def]
        strain = sym_grad(u)
        return ddot(2 * shear * strain + lame * eye(trace(strain), 3), sym_grad(v))

    forces = model.cases["lift"].loads[0].nodal_forces(model)
    with phase("assemble"):
        basis = skfem.Basis(_curved(straight, mesh, corners), element, intorder=2)
        matrix = stiffness.assemble(basis)
    # Our nodes in their numbering, by place: dofs carry their own coordinates.
    from scipy.spatial import cKDTree

    far, node = cKDTree(mesh.points).query(basis.doflocs.T)
    assert far.max() < 1e-7, "the meshes differ"
    component = np.empty(matrix.shape[0], np.int64)
    for i in range(3):
        component[basis.get_dofs(elements=True).all([f"u^{i + 1}"])] = i
    load = forces[node, component]
    held = np.isin(node, model.region("bolt_holes").nodes)
    with phase("solve"):
        system = skfem.condense(matrix, load, D=np.flatnonzero(held))
        if solver == "scipy":
            u = skfem.solve(*system)
        else:
            import pyamg

            a, b, _, free = system
            modes = _rigid_modes(mesh.points[node[free]], component[free])
            levels = pyamg.smoothed_aggregation_solver(a.tocsr(), B=modes)
            u = np.zeros(matrix.shape[0])
            u[free] = levels.solve(b, tol=1e-8, accel="cg", maxiter=500)
    field = np.zeros((mesh.n_points, 3))
    field[node, component] = u
    return {
        "largest displacement": float(np.linalg.norm(field, axis=1).max()),
        "n_dof": float(matrix.shape[0]),
    }


def _curved(straight: Any, mesh: Any, corners: Any) -> Any:
    """scikit-fem's isoparametric mesh with our mid nodes."""
    import skfem
    from scipy.spatial import cKDTree

    p2 = skfem.MeshTet2.from_mesh(straight)
    points = p2.p.copy()
    middle = 0.5 * (straight.p[:, straight.edges[0]] + straight.p[:, straight.edges[1]])
    pairs = ((0, 1), (1, 2), (2, 0), (0, 3), (1, 3), (2, 3))
    ends = np.concatenate([mesh.points[corners[:, list(pair)]].mean(axis=1) for pair in pairs])
    ours = np.concatenate([mesh.points[corners[:, 4 + i]] for i in range(6)])
    _, at = cKDTree(ends).query(middle.T)
    n_corners = straight.p.shape[1]
    rows = cKDTree(middle.T).query(p2.p[:, n_corners:].T)[1]
    points[:, n_corners:] = ours[at[rows]].T
    return skfem.MeshTet2(points, p2.t)


def _rigid_modes(x: Any, component: Any) -> Any:
    modes = np.zeros((len(x), 6))
    x = x - x.mean(axis=0)
    for i in range(3):
        modes[component == i, i] = 1.0
    for k, (i, j) in enumerate(((0, 1), (1, 2), (2, 0))):
        modes[component == i, 3 + k] = -x[component == i, j]
        modes[component == j, 3 + k] = x[component == j, i]
    return modes


def scikit_fem_scipy(case: dict[str, Any], phase: harness.Phases) -> dict[str, float]:
    return _scikit_fem(case, phase, "scipy")


def scikit_fem_pyamg(case: dict[str, Any], phase: harness.Phases) -> dict[str, float]:
    return _scikit_fem(case, phase, "pyamg")


if __name__ == "__main__":
    harness.main(
        "static",
        {"designtwin": ours, "scikit-fem + scipy": scikit_fem_scipy, "scikit-fem + pyamg": scikit_fem_pyamg},
        [
            {"title": "bracket, tet10", "mesh": "bracket.msh"},
            {"title": "fine bracket, tet10", "mesh": "bracket_fine.msh"},
        ],
        reference="largest displacement",
    )
