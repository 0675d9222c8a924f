"""Kratos: small-displacement elements, its linear strategy, AMGCL."""

from __future__ import annotations

import json
import os
from typing import Any

import numpy as np

NAME = "Kratos + AMGCL"
SETTINGS: Any = {
    "solver_type": "amgcl",
    "krylov_type": "cg",
    "smoother_type": "ilu0",
    "coarsening_type": "smoothed_aggregation",
    "block_size": 3,
    "use_block_matrices_if_possible": False,
    "provide_coordinates": True,
    "tolerance": 1e-8,
    "max_iteration": 1000,
    "coarse_enough": 1000,
    "scaling": False,
    "verbosity": 0,
}
SOLVER = dict(SETTINGS)
SETTINGS = (
    "`SmallDisplacementElement3D10N`, `ResidualBasedLinearStrategy` with the block builder, `"
    + json.dumps({key: value for key, value in SOLVER.items() if key not in ("verbosity", "scaling")})
    + "`; von Mises at integration points"
)
INSTALL = "pip install KratosMultiphysics KratosStructuralMechanicsApplication KratosLinearSolversApplication"
PACKAGES = ("KratosMultiphysics", "KratosStructuralMechanicsApplication")


def probe() -> None:
    import KratosMultiphysics as km
    import KratosMultiphysics.StructuralMechanicsApplication

    km.Logger.GetDefaultOutput().SetSeverity(km.Logger.Severity.WARNING)


def load(case: dict[str, Any]) -> Any:
    import KratosMultiphysics as km
    import KratosMultiphysics.StructuralMechanicsApplication as sm

    km.ParallelUtilities.SetNumThreads(case["threads"])
    model = km.Model()
    part = model.CreateModelPart("body", 2)
    part.ProcessInfo[km.DOMAIN_SIZE] = 3
    for variable in (km.DISPLACEMENT, km.REACTION, km.VOLUME_ACCELERATION, sm.POINT_LOAD):
        part.AddNodalSolutionStepVariable(variable)
    for i, (x, y, z) in enumerate(case["points"].tolist(), 1):
        part.CreateNewNode(i, x, y, z)
    material = part.CreateNewProperties(1)
    material[km.YOUNG_MODULUS], material[km.POISSON_RATIO], material[km.DENSITY] = (
        case["E"],
        case["nu"],
        7850.0,
    )
    material[km.CONSTITUTIVE_LAW] = sm.LinearElastic3DLaw()
    name = {
        "tet10": "SmallDisplacementElement3D10N",
        "tet4": "SmallDisplacementElement3D4N",
        "hex8": "SmallDisplacementElement3D8N",
    }[case["kind"]]
    for i, nodes in enumerate((case["cells"] + 1).tolist(), 1):
        part.CreateNewElement(name, i, nodes, material)
    for i, node in enumerate((np.flatnonzero(case["load"].any(axis=1)) + 1).tolist(), 1):
        part.CreateNewCondition("PointLoadCondition3D1N", i, [node], material)
        part.GetNode(node).SetSolutionStepValue(sm.POINT_LOAD, 0, km.Vector(case["load"][node - 1].tolist()))
    part.SetBufferSize(2)
    return {"model": model, "part": part, "held": (case["held"] + 1).tolist(), "corners": case["corners"]}


def run(state: dict[str, Any], phase: Any) -> dict[str, Any]:
    import KratosMultiphysics as km
    import KratosMultiphysics.StructuralMechanicsApplication as sm
    import problems

    part = state["part"]
    settings = {**SOLVER, **json.loads(os.environ.get("BENCH_AMGCL", "{}"))}
    with phase("assemble and solve"):
        for variable, reaction in (
            (km.DISPLACEMENT_X, km.REACTION_X),
            (km.DISPLACEMENT_Y, km.REACTION_Y),
            (km.DISPLACEMENT_Z, km.REACTION_Z),
        ):
            km.VariableUtils().AddDof(variable, reaction, part)
        for node in state["held"]:
            one = part.GetNode(node)
            one.Fix(km.DISPLACEMENT_X)
            one.Fix(km.DISPLACEMENT_Y)
            one.Fix(km.DISPLACEMENT_Z)
        solver = km.AMGCLSolver(km.Parameters(json.dumps(settings)))
        scheme = km.ResidualBasedIncrementalUpdateStaticScheme()
        builder = km.ResidualBasedBlockBuilderAndSolver(solver)
        strategy = km.ResidualBasedLinearStrategy(part, scheme, builder, False, False, False, False)
        strategy.SetEchoLevel(0)
        strategy.Initialize()
        strategy.Check()
        strategy.Solve()
    with phase("stress"):
        for element in part.Elements:
            element.CalculateOnIntegrationPoints(sm.VON_MISES_STRESS, part.ProcessInfo)
    u = np.array(km.VariableUtils().GetSolutionStepValuesVector(part.Nodes, km.DISPLACEMENT, 0, 3)).reshape(
        -1, 3
    )
    return {
        "largest": problems.largest(state, u),
        "n_dof": u.size,
        "iterations": int(solver.GetIterationsNumber()),
        "residual": _residual(strategy),
    }


def _residual(strategy: Any) -> float:
    """|f - A x| / |f| of the system that was solved."""
    import KratosMultiphysics as km

    a, x, f = strategy.GetSystemMatrix(), strategy.GetSolutionVector(), strategy.GetSystemVector()
    rest = km.Vector(f.Size())
    km.UblasSparseSpace().Mult(a, x, rest)
    return float(np.linalg.norm(np.array(f) - np.array(rest)) / np.linalg.norm(np.array(f)))
