"""NGSolve: H1(order=2, dim=3), its two-level multigrid: P1 sparse Cholesky below one Gauss-Seidel sweep."""

from __future__ import annotations

from typing import Any

import numpy as np

NAME = "NGSolve"
SETTINGS = (
    "`H1(order=2, dim=3)`, symmetric form, `Preconditioner('multigrid', inverse='sparsecholesky')`: P1 by "
    "sparse Cholesky, Gauss-Seidel above; CG to a residual of 1e-8; von Mises in `L2(order=1)`. Faster than "
    "`bddc`, `local`, `VectorH1` and two sweeps. Modes: `solvers.PINVIT(num=10, maxit=20)` around the same"
)
INSTALL = "pip install ngsolve"
PACKAGES = ("ngsolve",)


def probe() -> None:
    import ngsolve  # noqa: F401


def load(case: dict[str, Any]) -> Any:
    import netgen.meshing as nm
    import ngsolve as ng

    ng.SetNumThreads(case["threads"])
    kind = case["kind"]
    corners = case["corners"]
    number = np.full(len(case["points"]), -1, np.int32)
    number[corners] = np.arange(len(corners), dtype=np.int32)
    body = nm.Mesh(dim=3)
    body.AddPoints(np.ascontiguousarray(case["points"][corners]))
    faces = [body.Add(nm.FaceDescriptor(surfnr=k, domin=1, domout=0, bc=k)) for k in (1, 2)]
    for k, name in enumerate(("held", "loaded")):
        body.SetBCName(k, name)
    body.SetMaterial(1, "body")
    n = 8 if kind == "hex8" else 4
    body.AddElements(dim=3, index=1, data=np.ascontiguousarray(number[case["cells"][:, :n]]), base=0)
    n = 4 if kind == "hex8" else 3
    for k, face in enumerate(faces):
        chosen = case["facets"][case["tag"] == k + 1][:, :n]
        body.AddElements(dim=2, index=face, data=np.ascontiguousarray(number[chosen]), base=0)
    keep = {
        key: case[key]
        for key in (
            "physics",
            "kind",
            "E",
            "nu",
            "k",
            "force",
            "heat",
            "base",
            "capacity",
            "density",
            "step",
            "steps",
        )
    }
    return {**keep, "mesh": ng.Mesh(body)}


def run(state: dict[str, Any], phase: Any) -> dict[str, Any]:
    if state["physics"] == "modes":
        return modes(state, phase)
    if state["physics"] == "transient":
        return transient(state, phase, "cholesky")
    import ngsolve as ng
    from ngsolve import (
        BilinearForm,
        CoefficientFunction,
        GridFunction,
        InnerProduct,
        LinearForm,
        Preconditioner,
        Trace,
        ds,
        dx,
        grad,
    )  # fmt: skip

    mesh, heat = state["mesh"], state["physics"] == "heat"
    if state["kind"] != "tet10":
        raise NotImplementedError("NGSolve is run on quadratic tetrahedra, where it has two levels")
    young, nu = state["E"], state["nu"]
    lame, shear = young * nu / (1 + nu) / (1 - 2 * nu), young / 2 / (1 + nu)
    with ng.TaskManager():
        with phase("assemble and set up"):
            options = {} if heat else {"dim": 3}
            space = ng.H1(mesh, order=2, dirichlet="held", **options)
            u, v = space.TnT()
            form = BilinearForm(space, symmetric=True)
            if heat:
                form += state["k"] * grad(u) * grad(v) * dx
            else:
                strain = [0.5 * (grad(w) + grad(w).trans) for w in (u, v)]
                density = 2 * shear * InnerProduct(*strain) + lame * Trace(strain[0]) * Trace(strain[1])
                form += density.Compile() * dx
            two_level = Preconditioner(form, "multigrid", inverse="sparsecholesky")
            form.Assemble()
            inverse = two_level.mat
            area = ng.Integrate(1, mesh, definedon=mesh.Boundaries("loaded"))
            if heat:
                load = LinearForm(CoefficientFunction(state["heat"] / area) * v * ds("loaded"))
            else:
                load = LinearForm(CoefficientFunction((0, 0, -state["force"] / area)) * v * ds("loaded"))
            load.Assemble()
        with phase("solve"):
            answer = GridFunction(space)
            free = ng.Projector(space.FreeDofs(), True)
            iterations, residual = _cg(form.mat, inverse, load.vec, answer.vec, free)
        with phase("flux" if heat else "stress"):
            if heat:
                shown = GridFunction(ng.VectorL2(mesh, order=1))
                shown.Set(-state["k"] * grad(answer))
            else:
                strain = 0.5 * (grad(answer) + grad(answer).trans)
                stress = 2 * shear * strain + lame * Trace(strain) * ng.Id(3)
                deviator = stress - Trace(stress) / 3 * ng.Id(3)
                shown = GridFunction(ng.L2(mesh, order=1))
                shown.Set(ng.sqrt(1.5 * InnerProduct(deviator, deviator)))
    values = np.array(answer.vec.FV().NumPy())
    if heat:
        largest = float(np.abs(values[: mesh.nv]).max())
        n_dof = len(values)
    else:
        largest = float(np.linalg.norm(values.reshape(-1, 3)[: mesh.nv], axis=1).max())
        n_dof = len(values)
    return {"largest": largest, "n_dof": n_dof, "iterations": iterations, "residual": residual}


def modes(state: dict[str, Any], phase: Any) -> dict[str, Any]:
    """NGSolve's own preconditioned inverse iteration."""
    import ngsolve as ng
    import problems
    from ngsolve import BilinearForm, InnerProduct, Preconditioner, Trace, dx, grad

    mesh, young, nu = state["mesh"], state["E"], state["nu"]
    lame, shear = young * nu / (1 + nu) / (1 - 2 * nu), young / 2 / (1 + nu)
    with ng.TaskManager():
        with phase("assemble and set up"):
            space = ng.H1(mesh, order=2, dirichlet="held", dim=3)
            u, v = space.TnT()
            form, mass = BilinearForm(space, symmetric=True), BilinearForm(space, symmetric=True)
            strain = [0.5 * (grad(w) + grad(w).trans) for w in (u, v)]
            density = 2 * shear * InnerProduct(*strain) + lame * Trace(strain[0]) * Trace(strain[1])
            form += density.Compile() * dx
            mass += state["density"] * InnerProduct(u, v) * dx
            two_level = Preconditioner(form, "multigrid", inverse="sparsecholesky")
            form.Assemble()
            mass.Assemble()
        with phase("modes"):
            values, _ = ng.solvers.PINVIT(
                form.mat, mass.mat, two_level.mat, num=problems.MODES, maxit=20, printrates=False
            )
    frequencies = np.sqrt(np.sort(np.array(values))) / (2.0 * np.pi)
    return {
        "largest": float(frequencies[-1]), "n_dof": 3 * int(space.ndof), "iterations": 20,
        "frequencies": frequencies.tolist(),
    }  # fmt: skip


def transient(state: dict[str, Any], phase: Any, how: str) -> dict[str, Any]:
    """Implicit Euler steps of one size by a factorization ("cholesky") or by CG over its multigrid ("cg")."""
    import ngsolve as ng
    from ngsolve import BilinearForm, CoefficientFunction, LinearForm, Preconditioner, ds, dx, grad

    mesh, iterations, residual = state["mesh"], 0, 0.0
    with ng.TaskManager():
        with phase("assemble"):
            space = ng.H1(mesh, order=2, dirichlet="held")
            u, v = space.TnT()
            mass = BilinearForm(space, symmetric=True)
            mass += state["capacity"] / state["step"] * u * v * dx
            form = BilinearForm(space, symmetric=True)
            form += (state["k"] * grad(u) * grad(v) + state["capacity"] / state["step"] * u * v) * dx
            if how == "cg":
                two_level = Preconditioner(form, "multigrid", inverse="sparsecholesky")
            mass.Assemble()
            form.Assemble()
            area = ng.Integrate(1, mesh, definedon=mesh.Boundaries("loaded"))
            load = LinearForm(CoefficientFunction(state["heat"] / area) * v * ds("loaded"))
            load.Assemble()
        with phase("factor"):
            if how == "cg":
                inverse = two_level.mat
            else:
                inverse = form.mat.Inverse(space.FreeDofs(), inverse="sparsecholesky")
        with phase("steps"):
            x, b = (form.mat.CreateColVector() for _ in range(2))
            x[:] = 0
            free = ng.Projector(space.FreeDofs(), True)
            for _ in range(state["steps"]):
                b.data = load.vec + mass.mat * x
                if how == "cg":
                    more, residual = _cg(form.mat, inverse, b, x, free, start=True)
                    iterations += more
                else:
                    x.data = inverse * b
    values = np.array(x.FV().NumPy())
    return {
        "largest": float(np.abs(values[: mesh.nv]).max()), "n_dof": len(values), "iterations": iterations,
        "residual": residual,
    }  # fmt: skip


def _cg(a: Any, inverse: Any, f: Any, x: Any, free: Any, *, start: bool = False) -> tuple[int, float]:
    """Conjugate gradients in its vectors; its own stop at the preconditioned residual, 30 times early."""
    from ngsolve import InnerProduct, Norm

    r, p, z, q = (f.CreateVector() for _ in range(4))
    r.data = free * f
    goal = 1e-8 * Norm(r)
    if start:  # from the last step's answer
        q.data = f - a * x
        r.data = free * q
    else:
        x[:] = 0
    z.data = inverse * r
    p.data = z
    old = InnerProduct(z, r)
    iterations = 0
    while iterations < 1000:
        iterations += 1
        q.data = a * p
        step = old / InnerProduct(p, q)
        x.data += step * p
        r.data -= step * q
        z.data = free * r
        r.data = z
        if Norm(r) <= goal:
            break
        z.data = inverse * r
        new = InnerProduct(z, r)
        p.data = z + (new / old) * p
        old = new
    q.data = f - a * x
    z.data = free * q
    return iterations, 1e-8 * Norm(z) / goal
