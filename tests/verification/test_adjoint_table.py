"""Adjoint gradients against complex step, response by variable, for every kind of cell.

The oracle (``tests/helpers_complex.py``) is a dense implementation of its own in complex numbers, so that the
comparison is one of formulas and not of step sizes.
"""

from dataclasses import replace

import numpy as np
import pytest

import designtwin as dtw
from designtwin.assembly.directions import Directions
from tests.builders import bar, box, rectangle
from tests.helpers_complex import STEP, ComplexStatics, complex_heat, ks, p_norm, von_mises
from tests.surroundings import FULL

ANALYTIC = 1e-9
YIELD, MODULUS, EXPANSION, REFERENCE = 3e8, 2e11, 1.2e-5, 290.0

FORMULATIONS = {
    "tetra": ("tetra", "Solid", "full"),
    "tetra10": ("tetra10", "Solid", "full"),
    "hexahedron, incompatible modes": ("hexahedron", "Solid", "incompatible"),
    "hexahedron, b-bar": ("hexahedron", "Solid", "b-bar"),
    "hexahedron20": ("hexahedron20", "Solid", "full"),
    "wedge15": ("wedge15", "Solid", "full"),
    "pyramid13": ("pyramid13", "Solid", "full"),
    "quad, incompatible modes, plane stress": ("quad", "PlaneStress", "incompatible"),
    "quad, b-bar, plane strain": ("quad", "PlaneStrain", "b-bar"),
    "quad, b-bar, axisymmetric": ("quad", "Axisymmetric", "b-bar"),
    "quad8, plane stress": ("quad8", "PlaneStress", "full"),
    "triangle6, axisymmetric": ("triangle6", "Axisymmetric", "full"),
    "truss": ("line", "Truss", "full"),
}
QUICK = ("tetra10", "hexahedron, incompatible modes", "quad, b-bar, axisymmetric", "truss")
"""Of `make test`: simplices, modes, mean dilatation with rings, bars; the others under `make verify`."""


def section(kind, formulation, expansion=EXPANSION):
    steel = dtw.LinearElastic(
        youngs_modulus=MODULUS, poissons_ratio=0.3, density=7800.0, expansion=expansion, conductivity=50.0,
        yield_strength=YIELD,
    )  # fmt: skip
    more = {"PlaneStress": {"thickness": 0.02}, "PlaneStrain": {"thickness": 0.5}, "Truss": {"area": 2e-4}}
    if kind != "Truss":
        more[kind] = {**more.get(kind, {}), "formulation": formulation}
    return getattr(dtw, kind)(steel, **more[kind])


def mesh_of(element, kind):
    if kind == "Truss":
        return frame()
    n = 1 if element in ("tetra10", "wedge15", "pyramid13", "hexahedron20") else 2
    if kind == "Solid":
        return box(element, (n, n, n), (0.3, 0.2, 0.2), distort=0.15, seed=3, shape=bent)
    origin = {"origin": (0.1, 0.0)} if kind == "Axisymmetric" else {}
    return rectangle(element, (2, 2), (0.3, 0.2), distort=0.15, seed=3, **origin)


def bent(x):
    """Curves the edges a little, so that mid nodes are off the middle."""
    out = x.copy()
    out[:, 0] += 0.3 * x[:, 1] ** 2
    return out


def frame():
    """A tetrahedron of bars on three feet, with a group of its own for each end."""
    points = np.array([[0.0, 0, 0], [1.0, 0, 0], [0.3, 1.1, 0], [0.4, 0.3, 0.9], [1.2, 0.9, 0.8]])
    bars = np.array([[0, 3], [1, 3], [2, 3], [1, 4], [2, 4], [3, 4]])
    plain = bar(1)
    feet, top = dtw.Group(nodes=np.array([0, 1, 2])), dtw.Group(nodes=np.array([3, 4]))
    groups = {"xmin": feet, "xmax": top, "body": dtw.Group(cells=np.arange(len(bars)))}
    return replace(plain, points=points, cells={"line": bars}, groups=groups)


def temperature_on(mesh):
    return 320.0 + 200.0 * mesh.points[:, 0] + 60.0 * mesh.points[:, 1]


def model_of(name, *, expansion=EXPANSION, reference=REFERENCE, spring=2e7):
    element, kind, formulation = FORMULATIONS[name]
    mesh = mesh_of(element, kind)
    flat = kind not in ("Solid", "Truss")
    force = (1.0e5, -2.0e5, 0.0 if flat else 0.7e5)
    items = [
        dtw.Force(on="xmax", value=force if kind != "Axisymmetric" else (0.0, -2.0e5, 0.0)),
        dtw.Temperature(temperature_on(mesh), reference=reference),
        dtw.Spring(on="xmax", stiffness=(spring, 2 * spring, 0.0 if flat else spring)),
    ]
    supports = [dtw.PrescribedDisplacement(on="xmin", x=1e-5, y=-2e-5, z=None if flat else 3e-5)]
    return dtw.Model(mesh, {"body": section(kind, formulation, expansion)}, supports, {"case": items})


def complex_of(model, case):
    out = ComplexStatics(model, model.cases["case"], case.recovery)
    out.expansion, out.reference = EXPANSION, REFERENCE
    out.temperature = temperature_on(model.mesh).astype(complex)
    return out


RESPONSES = {
    "mass": (dtw.mass(), lambda c, u, rows: c.mass()),
    "compliance": (dtw.compliance(), lambda c, u, rows: (c.forces * u).sum()),
    "displacement": (dtw.displacement("xmax"), lambda c, u, rows: ks(np.sqrt((u[rows] ** 2).sum(axis=1)))),
    "displacement y": (
        dtw.displacement("xmax", "y", over="min"), lambda c, u, rows: -ks(-u[rows, 1])
    ),
    "stress": (dtw.stress(), lambda c, u, rows: ks(von_mises(c.averaged(u)[rows]))),
    "stress xx": (dtw.stress("xx", over="max"), lambda c, u, rows: ks(c.averaged(u)[rows, 0])),
    "yield margin": (dtw.yield_margin(), lambda c, u, rows: YIELD / ks(von_mises(c.averaged(u)[rows]))),
    "p-norm of stress": (dtw.stress(), lambda c, u, rows: p_norm(von_mises(c.averaged(u)[rows]))),
    "reaction": (dtw.reaction("xmin"), lambda c, u, rows: length(c.reactions(u)[xmin(c)].sum(axis=0))),
    "reaction of springs and all": (
        dtw.reaction("body", "y", over="max"), lambda c, u, rows: c.reactions(u)[:, 1].sum()
    ),
    "strain": (
        dtw.strain("xy", over="min"), lambda c, u, rows: -ks(-c.averaged(u, of="strain")[rows, 3])
    ),
}  # fmt: skip


def xmin(c):
    return c.model.region("xmin").nodes


def length(vector):
    return np.sqrt((vector**2).sum())


def variables(model, rng):
    """Name: what a complex step does, and the slope by the adjoint."""
    mesh = model.mesh
    n, cells = mesh.n_points, mesh.n_cells
    d = model.dimension
    move = 0.02 * rng.standard_normal((n, 3)) * (np.arange(3) < d)
    size = rng.uniform(0.5, 1.0, cells)
    thick = size * model.cell_scale()
    force = 1e5 * rng.standard_normal((n, 3)) * (np.arange(3) < d)
    given = np.zeros((n, 3))
    held = model.region("xmin").nodes
    given[held] = 1e-5 * rng.standard_normal((len(held), 3)) * (np.arange(3) < d)
    warm = 30.0 * rng.standard_normal(n)
    tangent = MODULUS * rng.uniform(0.0, 0.3, (6, 6))
    tangent = tangent + tangent.T
    h = 1e-3

    def given_by(**arrays):
        return lambda s: s.along(Directions.given(model, **arrays))[0]

    def beside(**numbers):
        ((name, at),) = numbers.items()

        def slope(s):
            pair = [model_of(s.tested, **{name: at * (1.0 + sign * h)}) for sign in (1.0, -1.0)]
            return s.sensitivity.along(Directions.of(model, [(*pair, 2 * h)]))[0]

        return slope

    def plus(attribute, by):
        def step(c):
            setattr(c, attribute, getattr(c, attribute) + 1j * STEP * by)

        return step

    def softer(c):
        c.springs = tuple(replace(one, values=one.values * (1.0 + 1j * STEP)) for one in c.springs)

    out = {
        "coordinates": (plus("points", move), given_by(points=move[None])),
        "stiffness of cells": (plus("stiffness", size), given_by(stiffness=size[None])),
        "elastic tensor": (plus("tangent", tangent), lambda s: (s.tangent * tangent).sum()),
        "thickness or area": (plus("scale", thick), given_by(scale=thick[None])),
        "density": (plus("density", 1e3 * size), given_by(density=1e3 * size[None])),
        "force": (plus("forces", force), given_by(forces={"case": force[None]})),
        "support motion": (plus("motions", given), given_by(motions={"case": given[None]})),
        "temperature": (plus("temperature", warm), lambda s: (s.temperature() * warm).sum()),
        "expansion": (plus("expansion", EXPANSION), beside(expansion=EXPANSION)),
        "stress-free temperature": (plus("reference", REFERENCE), beside(reference=REFERENCE)),
        "springs": (softer, beside(spring=2e7)),
    }  # fmt: skip
    if model.axisymmetric or (model.dimension == 3 and "line" not in mesh.cells):
        out.pop("thickness or area")
    if "line" in mesh.cells:
        out.pop("elastic tensor")  # that of a bar is its modulus along it
    return out


class Known:
    """A sensitivity that knows which formulation it is of, for neighbors."""

    def __init__(self, sensitivity, name):
        self.sensitivity, self.tested = sensitivity, name

    def __getattr__(self, name):
        return getattr(self.sensitivity, name)


def static_pairs(name):
    model = model_of(name)
    result = dtw.solve_static(model, solver=dtw.Direct(), keep=True)
    case = result["case"]
    rng = np.random.default_rng(11)
    of = variables(model, rng)
    stepped = {}
    for variable, (step, _) in of.items():
        c = complex_of(model, case)
        step(c)
        stepped[variable] = c, c.solve()
    for response, (quantity, formula) in RESPONSES.items():
        if response == "strain" and "plane stress" in name:
            continue  # a sheet thins, of which no gradient is known
        how = "p-norm" if "p-norm" in response else "ks"
        (found,) = dtw.sensitivities(result, quantity, aggregate=how)
        rows = quantity.rows(result) if hasattr(quantity, "rows") else None
        for variable, (_, slope) in of.items():
            exact = complex(formula(*stepped[variable], rows))
            assert found.value == pytest.approx(exact.real, rel=1e-8), (response, variable)
            yield response, variable, slope(Known(found, name)), exact.imag / STEP, abs(found.value)


@pytest.mark.parametrize("name", FORMULATIONS if FULL else QUICK)
def test_adjoint_is_complex_step_for_every_response_and_variable(name):
    pairs = list(static_pairs(name))
    assert len(pairs) >= 90
    wrong = [
        f"{response} over {variable}: {found:.12e}, complex step {exact:.12e}"
        for response, variable, found, exact, size in pairs
        if abs(found - exact) > ANALYTIC * max(abs(exact), 1e-2 * size)
    ]
    assert not wrong, "\n".join(wrong)


# Heat, and stress by heat

HEATED = {"tetra10": "Solid", "hexahedron": "Solid", "quad": "PlaneStress", "triangle6": "Axisymmetric"}


def heated_model(element, kind, *, k=50.0, film=30.0, flux=2e4, ambient=300.0, held=330.0, **more):
    mesh = mesh_of(element, kind)
    if "by" in more:
        mesh = replace(mesh, points=mesh.points + more["by"])
    wanted = section(kind, "auto")
    wanted = replace(wanted, material=replace(wanted.material, conductivity=k))
    items = [
        dtw.HeatFlux(on="xmax", magnitude=flux),
        dtw.Convection(on="ymax", coefficient=film, ambient=ambient),
        *more.get("items", ()),
    ]
    supports = [dtw.FixedTemperature(on="xmin", value=held), dtw.FixedSupport(on="xmin")]
    warm = [dtw.Temperature(300.0, reference=REFERENCE), *more.get("warm", ())]
    return dtw.Model(mesh, {"body": wanted}, supports, {"hot": items, "warm": warm})


def held_heat(rest, model):
    return rest[model.region("xmin").nodes].sum()


def film_heat(t, model):
    (film,) = (load for load in model.cases["hot"].heat_loads if isinstance(load, dtw.Convection))
    out = film.nodal_heat(model).sum()
    for one in film.matrices(model):
        out = out - np.einsum("kij,kj->", one.values, t[one.nodes])
    return out


HEAT_RESPONSES = {
    "temperature": (dtw.temperature(case="hot"), lambda t, rest, model: ks(t)),
    "coldest": (
        dtw.temperature("xmax", over="min", case="hot"),
        lambda t, rest, model: -ks(-t[model.region("xmax").nodes]),
    ),
    "heat held": (dtw.heat("xmin", case="hot", over="max"), lambda t, rest, model: held_heat(rest, model)),
    "heat exchanged": (dtw.heat("ymax", case="hot", over="max"), lambda t, rest, model: film_heat(t, model)),
}
WARM_RESPONSES = {
    "displacement by heat": (
        dtw.displacement("xmax", case="warm"), lambda c, u, rows: ks(np.sqrt((u[rows] ** 2).sum(axis=1)))
    ),
    "stress by heat": (
        dtw.stress(case="warm"), lambda c, u, rows: ks(von_mises(c.averaged(u)[rows]))
    ),
}  # fmt: skip


def heat_pairs(element):
    """Temperatures, and what they strain, over what conducts and what is put in."""
    model = heated_model(element, HEATED[element])
    mesh, case = model.mesh, model.cases["hot"]
    rng = np.random.default_rng(5)
    n, d = mesh.n_points, model.dimension
    inside = np.setdiff1d(np.arange(n), model.region(dtw.exterior()).nodes)
    move = np.zeros((n, 3))
    if len(inside) < 2:  # loads ride on the faces that they act on, and this comparison leaves them out
        inside = np.setdiff1d(
            np.arange(n), np.concatenate([model.region(on).nodes for on in ("xmax", "ymax")])
        )
    move[inside] = 0.01 * rng.standard_normal((len(inside), 3)) * (np.arange(3) < d)
    share, put = rng.uniform(0.5, 1.0, mesh.n_cells), rng.standard_normal(n)
    own = np.zeros(n)
    for load in case.heat_loads:
        own += load.nodal_heat(model)
    far = 1j * STEP
    stepped = {
        "coordinates": ({"points": mesh.points + far * move}, {"points": move[None]}),
        "conductivity of cells": ({"conductivity": 1.0 + far * share}, {"conductivity": share[None]}),
        "heat": ({"heat": own + far * put}, {"heat": {"hot": put[None]}}),
    }
    if HEATED[element] == "PlaneStress":
        thick = model.cell_scale() * share
        stepped["thickness"] = {"scale": model.cell_scale() + far * thick}, {"scale": thick[None]}
    thermal = dtw.solve_thermal(model, solver=dtw.Direct(), keep=True)
    coupled = dtw.ThermalStressTest(
        model, [dtw.displacement(case="warm") <= "1 m"], warmed={"warm": "hot"}, solver=dtw.Direct()
    ).solve(keep=True)
    for variable, (changed, given) in stepped.items():
        t, rest = complex_heat(model, case, **{"heat": own, **changed})
        along = Directions.given(model, **given)
        for response, (quantity, formula) in HEAT_RESPONSES.items():
            (found,) = dtw.sensitivities(thermal, quantity)
            exact = formula(t, rest, model)
            assert found.value == pytest.approx(exact.real, rel=1e-8), response
            yield response, variable, found.along(along)[0], exact.imag / STEP, abs(found.value)
        c = ComplexStatics(coupled.model, coupled.model.cases["warm"], coupled["warm"].recovery)
        c.expansion, c.reference, c.temperature = EXPANSION, REFERENCE, t
        c.points, c.scale = changed.get("points", c.points), changed.get("scale", c.scale)
        u = c.solve()
        for response, (quantity, formula) in WARM_RESPONSES.items():
            (found,) = dtw.sensitivities(coupled, quantity)
            exact = formula(c, u, quantity.rows(coupled))
            yield response, variable, found.along(along)[0], exact.imag / STEP, abs(found.value)


@pytest.mark.parametrize("element", HEATED if FULL else ("hexahedron", "quad"))
def test_adjoint_of_heat_and_of_stress_by_heat_is_complex_step(element):
    pairs = list(heat_pairs(element))
    assert len(pairs) >= 18
    wrong = [
        f"{response} over {variable}: {found:.12e}, complex step {exact:.12e}"
        for response, variable, found, exact, size in pairs
        if abs(found - exact) > ANALYTIC * max(abs(exact), 1e-3 * size)
    ]
    assert not wrong, "\n".join(wrong)
